"""Structured corruption: what the denoiser must keep and what it must remove.

*Drift* is added to the input and to the target, so the net learns to keep it; *faults* and noise are added to the
input only, so it learns to remove them, and a fault stands out in the residual (input minus output).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .scaling import CLIP

DRIFT_PROBABILITY = 0.7
DRIFT_LEVEL = 2.0
"""Standard deviation of a window's level, in drifts of the channel; generous, since a net does not extrapolate."""
DRIFT_SLOPE = 0.2
"""Standard deviation of the change over a window, in drifts of the channel."""
FAULT_PROBABILITY = 0.12
NOISE_SHARE = 0.5
"""Standard deviation of the added noise, as a share of the channel's own noise."""


@dataclass(frozen=True)
class Corruption:
    """Sizes of the corruption per channel, each [channels], in scaled units.

    `noise` is what a channel does around its own mean cycle, `drift` how far its level moves between recordings of
    one and the same condition, `largest_step` the size of the largest step or ramp.
    """

    noise: Tensor
    drift: Tensor
    largest_step: float = 10.0
    gains: tuple[float, float] = (0.005, 0.5)
    """Least and largest change of gain."""

    def apply(self, measured: Tensor, expected: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Input and target [batch, channels, time] from windows of that shape, measured and free of noise."""
        drift = self.draw_drift(measured.shape, generator)
        noise = NOISE_SHARE * self.noise[:, None] * torch.randn(measured.shape, generator=generator)
        corrupted = measured + drift + self.draw_faults(measured, generator) + noise
        return corrupted.clamp(-CLIP, CLIP), (expected + drift).clamp(-CLIP, CLIP)

    def draw_drift(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """A level and a slope in most channels, [batch, channels, time]."""
        batch, channels, time = shape

        def normal() -> Tensor:
            return torch.randn(batch, channels, 1, generator=generator)

        level = DRIFT_LEVEL * normal()
        slope = DRIFT_SLOPE * normal() * torch.linspace(-1.0, 0.0, time)
        present = torch.rand(batch, channels, 1, generator=generator) < DRIFT_PROBABILITY
        return present * self.drift[:, None] * (level + slope)

    def draw_faults(self, signal: Tensor, generator: torch.Generator) -> Tensor:
        """Steps, ramps, gains and lags in a few channels, with an onset in or before the window."""
        batch, channels, time = signal.shape

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(batch, channels, 1, generator=generator)

        steps = torch.arange(time)
        onset = uniform(-time, time)
        after = (steps >= onset).float()
        rise = ((steps - onset) / uniform(1.0, time)).clamp(0.0, 1.0)
        sign = uniform(-1.0, 1.0).sign()

        size = (self.noise.log()[:, None] + uniform(0.0, 1.0) * (self.largest_step / self.noise).log()[:, None]).exp()
        gain = uniform(*map(math.log, self.gains)).exp()
        delayed = torch.cat([signal[..., :1], signal[..., :-1]], dim=-1)

        shapes = torch.stack([
            sign * size * after,
            sign * size * rise,
            sign * gain * signal * after,
            uniform(0.0, 1.0) * (delayed - signal) * after,
        ])
        kind = torch.randint(len(shapes), (1, batch, channels, 1), generator=generator)
        fault = shapes.gather(0, kind.expand(1, -1, -1, time))[0]
        return (uniform(0.0, 1.0) < FAULT_PROBABILITY) * fault
