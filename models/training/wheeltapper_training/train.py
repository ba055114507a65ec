"""Fits a denoiser to clean runs under structured corruption."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .causal_net import CausalDenoiser
from .corruption import Corruption


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
        measured, expected = draw_windows(pairs, length, schedule.batch, generator)
        corrupted, target = corruption.apply(measured, expected, generator)
        error = (net(corrupted) - target)[..., -schedule.scored:] / noise
        loss = functional.smooth_l1_loss(error, torch.zeros_like(error))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()


def draw_windows(pairs: list[Tensor], length: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random windows of pairs [2, channels, time] that are at least `length` long, each [batch, channels, length]."""
    windows = []
    for index in torch.randint(len(pairs), (batch,), generator=generator).tolist():
        pair = pairs[index]
        start = int(torch.randint(pair.shape[-1] - length + 1, (1,), generator=generator))
        windows.append(pair[..., start:start + length])
    measured, expected = torch.stack(windows, dim=1)
    return measured, expected
