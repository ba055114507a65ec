"""The generators' networks: denoisers, a variational autoencoder, a generator and its critic."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .generator_windows import CONDITION, FLAT
from .recordings import CHANNELS, CYCLE

RIGHT_ANGLE = math.pi / 2


class Gaussian(nn.Module):
    """What is known of a noised sample whose directions are independent and normal with the given variances.

    It is the best denoiser of a Gaussian with that covariance, so a network beside it learns only what is not Gaussian, in
    units of what the noise leaves unknown.
    """

    def __init__(self, variance: Tensor):
        super().__init__()
        self.register_buffer("variance", variance)

    def forward(self, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For cosine and sine of the noise level, [batch, 1]: the share of the sample that is expected as v, the gain of
        a network's input and that of its output, each [batch, directions]."""
        total = cosine * cosine * self.variance + sine * sine
        root = total.sqrt()
        return cosine * sine * (1 - self.variance) / total, 1 / root, self.variance.sqrt() / root


class Embedding(nn.Module):
    """Noise level and condition as one vector, [batch, width]."""

    def __init__(self, width: int, waves: int = 8):
        super().__init__()
        self.register_buffer("waves", torch.arange(1, waves + 1, dtype=torch.float32)[None])
        self.first = nn.Linear(2 * waves + CONDITION, width)
        self.second = nn.Linear(width, width)

    def forward(self, angle: Tensor, condition: Tensor) -> Tensor:
        waves = angle * self.waves
        inputs = torch.cat([torch.sin(waves), torch.cos(waves), condition], dim=1)
        return functional.silu(self.second(functional.silu(self.first(inputs))))


class FlatDenoiser(nn.Module):
    """Residual blocks over a flat latent, [batch, 1, latent]."""

    def __init__(self, variance: Tensor, width: int = 96, blocks: int = 3):
        super().__init__()
        self.gaussian = Gaussian(variance)
        self.embedding = Embedding(width)
        self.lift_in = nn.Linear(len(variance), width)
        self.blocks = nn.ModuleList(FlatBlock(width) for _ in range(blocks))
        self.out = _zero(nn.Linear(width, len(variance)))

    def forward(self, x: Tensor, noise_level: Tensor, condition: Tensor) -> Tensor:
        angle = noise_level * RIGHT_ANGLE
        share, gain_in, gain_out = self.gaussian(torch.cos(angle), torch.sin(angle))
        flat = self.take(x)
        embedding = self.embedding(angle, condition)
        hidden = self.lift_in(flat * gain_in)
        for block in self.blocks:
            hidden = block(hidden, embedding)
        return self.lay(share * flat + gain_out * self.out(functional.silu(hidden)))

    def lay(self, latent: Tensor) -> Tensor:
        """[batch, latent] as [batch, 1, latent]."""
        return latent.unsqueeze(1)

    def take(self, x: Tensor) -> Tensor:
        return x.squeeze(1)


class FlatBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.place = nn.Linear(width, width)
        self.first = nn.Linear(width, width)
        self.second = _zero(nn.Linear(width, width))

    def forward(self, hidden: Tensor, embedding: Tensor) -> Tensor:
        inner = self.first(functional.silu(hidden)) + self.place(embedding)
        return hidden + self.second(functional.silu(inner))


class UNet(nn.Module):
    """A 1-D U-Net over the half-whitened residual, [batch, channels, seconds]; no norm, and a learned bias a position, as
    the cycle is locked to the window.

    The residual's principal components are known to it: its output is what the Gaussian denoiser leaves.
    """

    def __init__(self, components: Tensor, variance: Tensor, widths: tuple[int, int, int] = (24, 48, 48), embedding: int = 64):
        """`components` [flat, kept], orthonormal, and the variance of each."""
        super().__init__()
        self.register_buffer("components", components)
        self.gaussian = Gaussian(variance)
        self.embedding = Embedding(embedding)
        fine, middle, coarse = widths
        self.lift = nn.Conv1d(2 * len(CHANNELS), fine, 3, padding=1)
        self.down_fine = Block(fine, fine, CYCLE, embedding)
        self.to_middle = nn.Conv1d(fine, middle, 4, stride=2, padding=1)
        self.down_middle = Block(middle, middle, CYCLE // 2, embedding)
        self.to_coarse = nn.Conv1d(middle, coarse, 4, stride=2, padding=1)
        self.bottom = nn.ModuleList(Block(coarse, coarse, CYCLE // 4, embedding) for _ in range(2))
        self.from_coarse = nn.ConvTranspose1d(coarse, middle, 2, stride=2)
        self.up_middle = Block(2 * middle, middle, CYCLE // 2, embedding)
        self.from_middle = nn.ConvTranspose1d(middle, fine, 2, stride=2)
        self.up_fine = Block(2 * fine, fine, CYCLE, embedding)
        self.out = _zero(nn.Conv1d(fine, len(CHANNELS), 3, padding=1))

    def forward(self, x: Tensor, noise_level: Tensor, condition: Tensor) -> Tensor:
        angle = noise_level * RIGHT_ANGLE
        share, gain_in, gain_out = self.gaussian(torch.cos(angle), torch.sin(angle))
        coordinates = self.take(x)
        both = torch.cat([self.lay(coordinates), self.lay(coordinates * gain_in)], dim=1)
        learned = self.take(self._learned(both, self.embedding(angle, condition)))
        return self.lay(share * coordinates + gain_out * learned)

    def lay(self, coordinates: Tensor) -> Tensor:
        """[batch, kept] as [batch, channels, seconds]."""
        return (coordinates @ self.components.T).reshape(-1, len(CHANNELS), CYCLE)

    def take(self, x: Tensor) -> Tensor:
        """The coordinates of [batch, channels, seconds]; what lies beside the components is dropped."""
        return x.reshape(-1, FLAT) @ self.components

    def _learned(self, x: Tensor, embedding: Tensor) -> Tensor:
        fine = self.down_fine(self.lift(x), embedding)
        middle = self.down_middle(self.to_middle(fine), embedding)
        coarse = self.to_coarse(middle)
        for block in self.bottom:
            coarse = block(coarse, embedding)
        middle = self.up_middle(torch.cat([self.from_coarse(coarse), middle], dim=1), embedding)
        fine = self.up_fine(torch.cat([self.from_middle(middle), fine], dim=1), embedding)
        return self.out(functional.silu(fine))


class Block(nn.Module):
    """Two convolutions with the embedding and a bias a position between them, beside a short cut."""

    def __init__(self, width_in: int, width: int, seconds: int, embedding: int):
        super().__init__()
        self.first = nn.Conv1d(width_in, width, 3, padding=1)
        self.place = nn.Linear(embedding, width)
        self.position = nn.Parameter(0.02 * torch.randn(width, seconds))
        self.second = nn.Conv1d(width, width, 3, padding=1)
        self.short = nn.Conv1d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        inner = self.first(functional.silu(x)) + self.place(embedding)[..., None] + self.position
        return self.short(x) + self.second(functional.silu(inner))


class Encoder(nn.Module):
    """Coordinates and condition to mean and log variance of a latent, each [batch, latent]."""

    def __init__(self, kept: int, latent: int, width: int):
        super().__init__()
        self.latent = latent
        self.straight = nn.Linear(kept, latent)
        self.body = Mlp(kept + CONDITION, 2 * latent, width)

    def forward(self, coordinates: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        both = self.body(torch.cat([coordinates, condition], dim=1))
        return self.straight(coordinates) + both[:, :self.latent], both[:, self.latent:]


class Decoder(nn.Module):
    """Latent and condition to coordinates, [batch, kept]."""

    def __init__(self, kept: int, latent: int, width: int):
        super().__init__()
        self.straight = nn.Linear(latent, kept)
        self.body = Mlp(latent + CONDITION, kept, width)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        return self.straight(latent) + self.body(torch.cat([latent, condition], dim=1))


class Mlp(nn.Module):
    """Three layers, the last of which starts at zero."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.third = _zero(nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.third(functional.silu(self.second(functional.silu(self.first(x)))))


class Critic(nn.Module):
    """How real coordinates look under a condition, [batch, 1]; spectral norm holds it to Lipschitz 1 a layer."""

    def __init__(self, kept: int, width: int = 128):
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.first = norm(nn.Linear(kept + CONDITION, width))
        self.second = norm(nn.Linear(width, width))
        self.third = norm(nn.Linear(width, 1))

    def forward(self, coordinates: Tensor, condition: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.first(torch.cat([coordinates, condition], dim=1)), 0.2)
        hidden = functional.leaky_relu(self.second(hidden), 0.2)
        return self.third(hidden)


def _zero(layer: nn.Module) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
