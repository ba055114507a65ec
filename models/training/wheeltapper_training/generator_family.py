"""The four generators, each from windows to the networks that a package holds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from . import generator_sampling as sampling
from .generator_frame import Frame, fit_basis
from .generator_nets import Decoder, Encoder, FlatDenoiser, UNet
from .generator_train import Course, Lessons, fit_adversary, fit_autoencoder, fit_denoiser
from .generator_windows import FLAT, Windows
from .recordings import CHANNELS, CYCLE


@dataclass(frozen=True)
class Sampling:
    """How a denoiser is to be run unless asked otherwise."""

    sampler: str = "dpm++"
    steps: int = 20
    guidance: float = 1.0


@dataclass
class Generator:
    """A trained generator: the graphs of its package by role, and how it samples."""

    family: str
    latent: tuple[int, int]
    networks: dict[str, nn.Module]
    sampling: Sampling | None = None

    def generate(self, condition: np.ndarray, seed: int, sampling_wanted: Sampling | None = None) -> np.ndarray:
        """Loose windows for conditions [n, condition], as [n, channels, seconds]."""
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(len(condition), *self.latent, generator=generator)
        return self.finish(start, condition, seed, sampling_wanted)

    @torch.no_grad()
    def finish(self, start: Tensor, condition: np.ndarray, seed: int, wanted: Sampling | None = None) -> np.ndarray:
        """Windows of starting noise [n, channels, length]."""
        told = torch.tensor(condition, dtype=torch.float32)
        noise = torch.randn(len(told), len(CHANNELS), CYCLE, generator=torch.Generator().manual_seed(seed + 1))
        x = start
        if self.sampling:
            wanted = wanted or self.sampling
            net = sampling.guided(self.networks["denoiser"], wanted.guidance)
            x = sampling.sample(net, start, told, wanted.sampler, wanted.steps)
        return self.networks["decoder"](x, told, noise).numpy()

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for net in self.networks.values() for parameter in net.parameters())


class SeriesDecoder(nn.Module):
    """`x` [batch, channels, length], a latent, to series."""

    def __init__(self, frame: Frame, bent: nn.Module):
        super().__init__()
        self.frame, self.bent = frame, bent

    def forward(self, x: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        return self.frame.decode(self.bent(x, condition), condition, noise)


class SeriesEncoder(nn.Module):
    """Series to the mean of `x`."""

    def __init__(self, frame: Frame, bent: nn.Module):
        super().__init__()
        self.frame, self.bent = frame, bent

    def forward(self, series: Tensor, condition: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.bent(self.frame.encode(series, condition), condition)


class Laid(nn.Module):
    """Coordinates as the U-Net's `x`, and back."""

    def __init__(self, components: Tensor, back: bool):
        super().__init__()
        self.register_buffer("components", components)
        self.back = back

    def forward(self, value: Tensor, condition: Tensor) -> Tensor:
        if self.back:
            return value.reshape(-1, FLAT) @ self.components
        return (value @ self.components.T).reshape(-1, len(CHANNELS), CYCLE)


class LatentDecoder(nn.Module):
    """A flat latent [batch, 1, latent] to coordinates."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.decoder(x.squeeze(1), condition)


class LatentEncoder(nn.Module):
    """Coordinates to mean and log variance of a flat latent, each [batch, 1, latent]."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, coordinates: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(coordinates, condition)
        return mean.unsqueeze(1), log_variance.unsqueeze(1)


class Continuation(nn.Module):
    """Starting noise of the window after `previous`: A · previous + B · noise with A of low rank and B Bᵀ = I − A Aᵀ, so that
    standard normal noise stays so however long the chain."""

    def __init__(self, shape: tuple[int, int], left: Tensor, strength: Tensor, right: Tensor):
        """A = left · diag(strength) · rightᵀ; `left` and `right` are [flat, rank] with orthonormal columns, strength below 1."""
        super().__init__()
        self.shape, self.flat = shape, shape[0] * shape[1]
        self.register_buffer("left", left.T.contiguous())
        self.register_buffer("right", right * strength)
        self.register_buffer("damped", -left * (1 - (1 - strength**2).sqrt()))

    def forward(self, previous: Tensor, noise: Tensor) -> Tensor:
        before, fresh = previous.reshape(-1, self.flat), noise.reshape(-1, self.flat)
        carried = (before @ self.right + fresh @ self.damped) @ self.left
        return (carried + fresh).reshape(-1, *self.shape)


def fit_continuation(shape: tuple[int, int], noise: np.ndarray, windows: Windows, rank: int = 120) -> Continuation:
    """From starting noise [windows, flat] of consecutive windows: the regression of the next on the last, after both are
    whitened, with the pairs that a run of 200 gives weighing as much as those of a run of ten."""
    before, after = windows.pairs()
    weight = np.sqrt(windows.weight[before])[:, None]
    first, second = weight * noise[before], weight * noise[after]
    whole = (first.T @ first + second.T @ second) / 2 / (weight**2).sum()
    cross = second.T @ first / (weight**2).sum()
    amount, directions = np.linalg.eigh(whole)
    kept = amount > LEAST_NOISE
    directions, amount = directions[:, kept], amount[kept]
    half = directions / np.sqrt(amount)
    left, strength, right = np.linalg.svd(half.T @ cross @ half)
    left, strength, right = directions @ left[:, :rank], np.minimum(strength[:rank], STRONGEST), directions @ right.T[:, :rank]
    return Continuation(shape, *(torch.tensor(value, dtype=torch.float32) for value in (left, strength, right)))


LEAST_NOISE = 0.05
STRONGEST = 0.99995


def lessons_of(coordinates: Tensor, windows: Windows) -> Lessons:
    return Lessons(
        coordinates,
        torch.tensor(windows.condition, dtype=torch.float32),
        torch.tensor(windows.weight, dtype=torch.float32),
    )


def tensors(windows: Windows) -> tuple[Tensor, Tensor]:
    return torch.tensor(windows.series, dtype=torch.float32), torch.tensor(windows.condition, dtype=torch.float32)


def train_diffusion(windows: Windows, seed: int, course: Course = Course(steps=2000)) -> Generator:
    torch.manual_seed(seed)
    basis = fit_basis(windows, kept=120)
    frame = Frame(basis)
    coordinates = basis.coordinates(windows)
    net = UNet(frame.components, frame.variance)
    net = fit_denoiser(net, lessons_of(torch.tensor(coordinates, dtype=torch.float32), windows), course, seed)
    frame.fit_scatter(basis, windows, coordinates, seed)
    encoder = SeriesEncoder(frame, Laid(frame.components, back=False))
    networks = {"denoiser": net, "decoder": SeriesDecoder(frame, Laid(frame.components, back=True)), "encoder": encoder}
    made = Generator("diffusion", (len(CHANNELS), CYCLE), networks, Sampling())
    networks["continuation"] = fit_continuation(made.latent, inverted(made, windows), windows)
    return made


def inverted(made: Generator, windows: Windows) -> np.ndarray:
    """The starting noise of each window, [windows, flat]."""
    series, condition = tensors(windows)
    with torch.no_grad():
        clean = made.networks["encoder"](series, condition)
    clean = clean[0] if isinstance(clean, tuple) else clean
    return sampling.invert(made.networks["denoiser"], clean, condition, 20).reshape(len(series), -1).numpy()


def train_latent(windows: Windows, seed: int, course: Course = Course(steps=2500, drop=0.2)) -> Generator:
    torch.manual_seed(seed)
    basis = fit_basis(windows, kept=80)
    frame = Frame(basis)
    kept = len(basis.gain)
    coordinates = basis.coordinates(windows)
    lessons = lessons_of(torch.tensor(coordinates, dtype=torch.float32), windows)
    encoder, decoder = Encoder(kept, kept, 64), Decoder(kept, kept, 64)
    for net in (encoder, decoder):
        start_straight(net.straight, torch.ones(kept))
    encoder, decoder = fit_autoencoder(encoder, decoder, lessons, Course(steps=1000, rate=1e-3, drop=0.0, forget=0.1), seed, 0.01)
    with torch.no_grad():
        mean, _ = encoder(lessons.coordinates, lessons.condition)
        again = decoder(mean, lessons.condition)
    variance = lessons.weight @ mean**2
    net = fit_denoiser(FlatDenoiser(variance), Lessons(mean, lessons.condition, lessons.weight), course, seed)
    frame.fit_scatter(basis, windows, again.numpy(), seed)
    networks = {
        "denoiser": net,
        "decoder": SeriesDecoder(frame, LatentDecoder(decoder)),
        "encoder": SeriesEncoder(frame, LatentEncoder(encoder)),
    }
    made = Generator("latent-diffusion", (1, kept), networks, Sampling())
    networks["continuation"] = fit_continuation(made.latent, inverted(made, windows), windows)
    return made


def train_vae(windows: Windows, seed: int, course: Course = Course(steps=8000, rate=1e-3)) -> Generator:
    """A variational autoencoder whose decoder then learns, against a critic, that its prior's noise looks like windows too."""
    torch.manual_seed(seed)
    basis = fit_basis(windows, kept=80)
    frame = Frame(basis)
    kept = len(basis.gain)
    coordinates = basis.coordinates(windows)
    lessons = lessons_of(torch.tensor(coordinates, dtype=torch.float32), windows)
    encoder, decoder = Encoder(kept, kept, 96), Decoder(kept, kept, 96)
    widths = frame.variance.sqrt()
    start_straight(encoder.straight, 1 / widths)
    start_straight(decoder.straight, widths)
    alone = Course(steps=2500, rate=1e-3, drop=0.0, forget=0.0)
    encoder, decoder = fit_autoencoder(encoder, decoder, lessons, alone, seed, 0.3)
    decoder = fit_adversary(decoder, encoder, lessons, course, seed)
    with torch.no_grad():
        mean, _ = encoder(lessons.coordinates, lessons.condition)
    frame.fit_scatter(basis, windows, coordinates, seed)
    networks = {
        "decoder": SeriesDecoder(frame, LatentDecoder(decoder)),
        "encoder": SeriesEncoder(frame, LatentEncoder(encoder)),
    }
    made = Generator("vae", (1, kept), networks)
    networks["continuation"] = fit_continuation(made.latent, mean.numpy(), windows)
    return made


def train_gan(windows: Windows, seed: int, course: Course = Course(steps=8000, rate=1e-3)) -> Generator:
    torch.manual_seed(seed)
    basis = fit_basis(windows, kept=80)
    frame = Frame(basis)
    kept = len(basis.gain)
    coordinates = basis.coordinates(windows)
    lessons = lessons_of(torch.tensor(coordinates, dtype=torch.float32), windows)
    maker = Decoder(kept, kept, 128)
    start_straight(maker.straight, frame.variance.sqrt())
    maker = fit_adversary(maker, None, lessons, course, seed)
    frame.fit_scatter(basis, windows, coordinates, seed)
    made = Generator("gan", (1, kept), {"decoder": SeriesDecoder(frame, LatentDecoder(maker))})
    noise = coordinates / np.sqrt(basis.variance)
    made.networks["continuation"] = fit_continuation(made.latent, noise, windows)
    return made


def start_straight(layer: nn.Linear, gain: Tensor) -> None:
    """Each input to the output of its place, times `gain`."""
    with torch.no_grad():
        layer.weight.copy_(torch.diag(gain))
        layer.bias.zero_()


TRAINERS = {
    "hydraulic-diffusion": train_diffusion,
    "hydraulic-latent": train_latent,
    "hydraulic-vae": train_vae,
    "hydraulic-gan": train_gan,
}
