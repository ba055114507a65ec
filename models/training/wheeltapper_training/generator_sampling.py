"""The samplers that the daemon runs, for the figures: variance preserving, α = cos θ, σ = sin θ, noise level θ / (π / 2)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .generator_nets import RIGHT_ANGLE

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
HIGHEST = 0.999
"""Noise level that a cosine schedule starts from; at 1 nothing of the sample would be left."""


def levels(steps: int) -> list[float]:
    """Noise levels of a cosine schedule, falling, `steps` + 1 of them, down to 0."""
    return [HIGHEST * (1 - step / steps) for step in range(steps + 1)]


def guided(net: Denoiser, guidance: float) -> Denoiser:
    """u + g (c − u), both in one batch."""
    if guidance == 1.0:
        return net

    def both(x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        told, untold = net(
            torch.cat([x, x]), torch.cat([level, level]), torch.cat([condition, torch.zeros_like(condition)])
        ).chunk(2)
        return untold + guidance * (told - untold)

    return both


@torch.no_grad()
def sample(net: Denoiser, start: Tensor, condition: Tensor, sampler: str, steps: int) -> Tensor:
    """Samples from starting noise, both [batch, channels, length]; `sampler` is ddpm, ddim or dpm++.

    DPM-Solver++(2M) is algorithm 2 of Lu et al. 2022, DDPM is DDIM (Song et al. 2021, equation 16) with η = 1.
    """
    generator = torch.Generator().manual_seed(steps)
    x, before, width = start, None, None
    schedule = [level * RIGHT_ANGLE for level in levels(steps)]
    for now, then in zip(schedule, schedule[1:]):
        v = net(x, torch.full((len(x), 1), now / RIGHT_ANGLE), condition)
        clean = math.cos(now) * x - math.sin(now) * v
        if then == 0.0:
            return clean
        noise = math.sin(now) * x + math.cos(now) * v
        if sampler == "dpm++":
            gap = _log_ratio(then) - _log_ratio(now)
            slope = clean
            if before is not None:
                slope = clean + gap / (2 * width) * (clean - before)
            x = math.sin(then) / math.sin(now) * x - math.cos(then) * math.expm1(-gap) * slope
            before, width = clean, gap
        else:
            fresh = _fresh(now, then) if sampler == "ddpm" else 0.0
            x = math.cos(then) * clean + math.sqrt(math.sin(then) ** 2 - fresh**2) * noise
            if fresh:
                x = x + fresh * torch.randn(x.shape, generator=generator)
    return x


@torch.no_grad()
def invert(net: Denoiser, clean: Tensor, condition: Tensor, steps: int) -> Tensor:
    """The starting noise that DDIM makes `clean` from, [batch, channels, length]; two steps of the midpoint rule each."""
    x = clean
    schedule = [level * RIGHT_ANGLE for level in reversed(levels(steps))]
    for now, then in zip(schedule, schedule[1:]):
        middle = (now + then) / 2
        half = _turned(net, x, now, middle, now, condition)
        x = _turned(net, x, now, then, middle, condition, half)
    return x


def _turned(net: Denoiser, x: Tensor, now: float, then: float, at: float, condition: Tensor, point: Tensor | None = None) -> Tensor:
    """`x` moved from one angle to another along the velocity at `point`: dx/dθ = v."""
    point = x if point is None else point
    return x + (then - now) * net(point, torch.full((len(x), 1), at / RIGHT_ANGLE), condition)


def _fresh(now: float, then: float) -> float:
    ratio = math.cos(now) / math.cos(then)
    return math.sin(then) / math.sin(now) * math.sqrt(max(0.0, 1 - ratio**2))


def _log_ratio(angle: float) -> float:
    return math.log(math.cos(angle) / math.sin(angle))
