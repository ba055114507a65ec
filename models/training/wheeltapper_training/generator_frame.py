"""From windows to the coordinates that the generators' networks live in, and back.

A window is what its labels make of a mean cycle, and a residual. The residual, each channel over its deviation, has a few
hundred principal components of which the first hundred matter. They are *half whitened* (each over the square root of its
deviation): unscaled, a network sees the temperatures' level only; fully whitened, it spends itself on what is noise. What the other
components hold is Gaussian noise with their covariance, louder or softer by channel, as a small network tells from the coordinates and the
labels. No white noise is added anywhere, so that values which are always equal stay equal.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .generator_windows import CONDITION, FLAT, LEVELS, Windows
from .recordings import CHANNELS, CYCLE


@dataclass(frozen=True)
class Basis:
    """The part in closed form, by weighted least squares."""

    mean: np.ndarray
    """Of all windows, [flat]."""
    effects: np.ndarray
    """What each hat of a label adds, [condition, flat]; nothing on average over a label's windows."""
    scale: np.ndarray
    """Deviation of the residual, [flat]; the same for all seconds of a channel."""
    components: np.ndarray
    """Principal components of the scaled residual, [flat, kept], orthonormal."""
    gain: np.ndarray
    """Brings a coordinate to its component, [kept]."""
    variance: np.ndarray
    """Of a coordinate, [kept]; 1 on average."""

    def residual(self, windows: Windows) -> np.ndarray:
        """Scaled, [windows, flat]."""
        return (windows.flat - self.mean - windows.condition @ self.effects) / self.scale

    def coordinates(self, windows: Windows) -> np.ndarray:
        """[windows, kept]."""
        return self.residual(windows) @ self.components / self.gain

    def rest(self, windows: Windows, coordinates: np.ndarray) -> np.ndarray:
        """What `coordinates` [windows, kept] leave of the scaled residual, [windows, flat]."""
        return self.residual(windows) - (coordinates * self.gain) @ self.components.T


def fit_basis(windows: Windows, kept: int) -> Basis:
    weight, condition = windows.weight[:, None], windows.condition
    mean, usual = (weight * windows.flat).sum(axis=0), (weight * condition).sum(axis=0)
    root = np.sqrt(weight)
    effects, *_ = np.linalg.lstsq(root * (condition - usual), root * (windows.flat - mean), rcond=1e-8)
    first = 0
    for levels in LEVELS.values():
        own = slice(first, first + len(levels))
        effects[own] -= usual[own] @ effects[own]
        first += len(levels)
    residual = windows.flat - mean - condition @ effects
    variance = (weight * residual**2).sum(axis=0).reshape(len(CHANNELS), CYCLE).mean(axis=1)
    scale = np.repeat(np.sqrt(variance), CYCLE)
    _, deviation, components = np.linalg.svd(root * residual / scale, full_matrices=False)
    deviation, components = deviation[:kept], components[:kept].T
    common = deviation.mean()
    return Basis(mean, effects, scale, components, np.sqrt(deviation * common), deviation / common)


class Frame(nn.Module):
    """Coordinates [batch, kept] to series [batch, channels, seconds] and back; only the scatter's loudness has weights."""

    def __init__(self, basis: Basis):
        super().__init__()
        for name in ("mean", "effects", "scale", "components", "gain", "variance"):
            self.register_buffer(name, torch.tensor(getattr(basis, name), dtype=torch.float32))
        self.register_buffer("scatter", torch.zeros(SCATTERED, FLAT))
        self.loudness = Loudness(len(basis.gain))

    def encode(self, series: Tensor, condition: Tensor) -> Tensor:
        residual = (series.reshape(-1, FLAT) - self.mean - condition @ self.effects) / self.scale
        return residual @ (self.components / self.gain)

    def decode(self, coordinates: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """With the scatter that `noise` [batch, channels, seconds], white, is shaped to."""
        scatter = noise.reshape(-1, FLAT)[:, :SCATTERED] @ self.scatter
        loud = self.loudness(coordinates, condition).exp()[..., None]
        scatter = (scatter.reshape(-1, len(CHANNELS), CYCLE) * loud).reshape(-1, FLAT)
        residual = coordinates @ (self.components * self.gain).T + scatter
        return (self.mean + condition @ self.effects + self.scale * residual).reshape(-1, len(CHANNELS), CYCLE)

    def fit_scatter(
        self, basis: Basis, windows: Windows, coordinates: np.ndarray, seed: int, drawn: np.ndarray | None = None
    ) -> None:
        """Learns covariance and loudness of what a network's `coordinates` [windows, kept] leave of each window.

        `drawn`, the same for coordinates with a posterior's noise, is scatter that the network makes by itself.
        """
        rest = basis.rest(windows, coordinates).reshape(-1, len(CHANNELS), CYCLE)
        weight = windows.weight
        energy = (rest**2).mean(axis=2)
        usual = (weight[:, None] * energy).sum(axis=0) + 1e-12
        self.loudness.learn(coordinates, windows.condition, energy / usual, weight, seed)
        with torch.no_grad():
            loud = self.loudness(_tensor(coordinates), _tensor(windows.condition)).exp().numpy()
        covariance = _covariance(rest / loud[..., None], weight)
        if drawn is not None:
            own = ((drawn - coordinates) * basis.gain @ basis.components.T).reshape(rest.shape)
            covariance -= _covariance(own / loud[..., None], weight)
        variance, components = np.linalg.eigh(covariance)
        variance, components = variance[-SCATTERED:], components[:, -SCATTERED:]
        self.scatter.copy_(_tensor(np.sqrt(np.maximum(variance, 0.0))[:, None] * components.T))


class Loudness(nn.Module):
    """Logarithm of the scatter's deviation relative to the usual one, [batch, channels], from coordinates and labels."""

    def __init__(self, kept: int, width: int = 24):
        super().__init__()
        self.hidden = nn.Linear(kept + CONDITION, width)
        self.out = nn.Linear(width, len(CHANNELS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, coordinates: Tensor, condition: Tensor) -> Tensor:
        hidden = functional.silu(self.hidden(torch.cat([coordinates, condition], dim=1)))
        return LOUDEST * torch.tanh(self.out(hidden) / LOUDEST)

    def learn(self, coordinates: np.ndarray, condition: np.ndarray, energy: np.ndarray, weight: np.ndarray, seed: int) -> None:
        """By the likelihood of `energy` [windows, channels], relative, under a normal distribution of that deviation."""
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.AdamW(self.parameters(), lr=3e-3, weight_decay=0.1)
        inputs, labels, energy, weight = (_tensor(value) for value in (coordinates, condition, energy, weight))
        for _ in range(LOUDNESS_STEPS):
            batch = torch.multinomial(weight, 256, replacement=True, generator=generator)
            blurred = inputs[batch] + 0.1 * torch.randn(inputs[batch].shape, generator=generator)
            log = self(blurred, labels[batch])
            loss = (log + 0.5 * energy[batch] * (-2 * log).exp()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _covariance(windows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """About zero, [flat, flat]."""
    rows = np.sqrt(weight)[:, None] * windows.reshape(-1, FLAT)
    return rows.T @ rows


def _tensor(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


SCATTERED = 470
"""Directions of the scatter; what the others hold is below the resolution of the recording."""
LOUDEST = 1.5
LOUDNESS_STEPS = 600
