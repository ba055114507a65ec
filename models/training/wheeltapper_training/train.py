"""Fits denoisers to clean runs under structured corruption."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .causal_net import CausalDenoiser
from .corruption import Corruption
from .cycle_net import CycleDenoiser


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    steps: int = 3000
    batch: int = 64
    scored: int = 64
    """Columns at the end of a training window that count in the loss; those before them fill the net's memory."""
    peak_rate: float = 4e-3


@dataclass(frozen=True)
class Lesson:
    """A scaled run, [time, channels]: as measured, and as it would be without noise."""

    measured: np.ndarray
    expected: np.ndarray


def fit(net: CausalDenoiser, lessons: list[Lesson], corruption: Corruption, schedule: Schedule, seed: int) -> None:
    """Trains `net` in place; every lesson is drawn equally often, at a random place.

    The loss is smooth L1 of the error in units of each channel's noise: a channel whose cycle is large and whose noise
    is small would hardly count otherwise.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=schedule.peak_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.peak_rate, total_steps=schedule.steps)
    pairs = [
        torch.tensor(np.stack([lesson.measured.T, lesson.expected.T]), dtype=torch.float32) for lesson in lessons
    ]
    length = net.window - 1 + schedule.scored
    noise = corruption.noise[:, None]
    for _ in range(schedule.steps):
        windows = torch.cat(draw_windows(pairs, length, schedule.batch, generator), dim=1)
        measured, expected = splice(windows, 0, generator).chunk(2, dim=1)
        corrupted, target = corruption.apply(measured, expected, generator)
        error = (net(corrupted) - target)[..., -schedule.scored:] / noise
        loss = functional.smooth_l1_loss(error, torch.zeros_like(error))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()


def fit_phases(
    net: CycleDenoiser, lessons: list[Lesson], corruption: Corruption, schedule: Schedule, seed: int
) -> None:
    """Trains `net` in place to tell the phase, on lessons that start with a cycle."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=schedule.peak_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.peak_rate, total_steps=schedule.steps)
    period, phases = net.shape.period, net.shape.phases
    told = functional.one_hot(torch.arange(period) * phases // period, phases).T.numpy()
    signals = [
        torch.tensor(
            np.concatenate([lesson.measured.T, np.tile(told, len(lesson.measured) // period)]), dtype=torch.float32
        )[None]
        for lesson in lessons
    ]
    length = net.shape.memory - 1 + schedule.scored
    channels = len(corruption.noise)
    for _ in range(schedule.steps):
        (windows,) = draw_windows(signals, length + period, schedule.batch, generator, period)
        windows = splice(windows, draw_shift(period, generator), generator)[..., :length]
        measured, phase = windows.split([channels, phases], dim=1)
        corrupted, _ = corruption.apply(measured, measured, generator)
        told = net.phases(corrupted)[..., -schedule.scored:]
        loss = functional.binary_cross_entropy(told, phase[..., -schedule.scored:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()


def draw_windows(
    pairs: list[Tensor], length: int, batch: int, generator: torch.Generator, period: int = 1
) -> tuple[Tensor, ...]:
    """Random windows of signals [n, channels, time] that are at least `length` long: n of [batch, channels, length].

    All of them start at the same row of their period.
    """
    first = int(torch.randint(period, (1,), generator=generator))
    windows = []
    for index in torch.randint(len(pairs), (batch,), generator=generator).tolist():
        pair = pairs[index]
        starts = (pair.shape[-1] - length - first) // period + 1
        start = first + period * int(torch.randint(starts, (1,), generator=generator))
        windows.append(pair[..., start:start + length])
    return tuple(torch.stack(windows, dim=1))


def draw_shift(period: int, generator: torch.Generator) -> int:
    """Nothing, or any part of a period."""
    aligned, shift = torch.rand(1, generator=generator) < ALIGNED, torch.randint(period, (1,), generator=generator)
    return 0 if aligned else int(shift)


def splice(windows: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Windows [batch, channels, time] of which some go on, from a random column on, as another one that is `shift` columns
    later in its time: what a machine shows after a stop, or when its load changes."""
    batch, _, time = windows.shape
    other = windows[torch.randperm(batch, generator=generator)].roll(-shift, dims=-1)
    seam = torch.randint(time, (batch, 1, 1), generator=generator)
    spliced = torch.rand(batch, 1, 1, generator=generator) < SPLICED
    return torch.where(spliced & (torch.arange(time) >= seam), other, windows)


SPLICED = 0.5
"""Of the windows."""
ALIGNED = 0.5
"""Of the spliced windows, those that go on in phase."""
