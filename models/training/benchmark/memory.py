"""Whether a generator repeats what it has learned from. The published protocol has no figure of that."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WEEK = 7 * 24
"""Windows that start nearer to each other than this are no strangers."""


@dataclass(frozen=True)
class Memory:
    """How near windows lie to the real ones, beside how near real ones lie to those of other weeks."""

    flagged: float
    """Share that lies nearer than 5 % of the real ones do, over 5 %; about 1 where nothing is repeated."""
    distance: float
    """Median distance to the nearest, over that of the real ones; about 1 where nothing is repeated."""


def memory(real: np.ndarray, sets: dict[str, np.ndarray]) -> dict[str, Memory]:
    """Of each of `sets`, windows [n, time, channels]; `real` are all windows that were learned from, a row apart."""
    scale = real.std(axis=(0, 1))
    among = flat(real / scale)
    usual = np.concatenate([
        nearest(among[place:place + 1], among[strangers(place, len(among))]) for place in range(0, len(among), STRIDE)
    ])
    bound = np.quantile(usual, FLAGGED)
    result = {}
    for name, windows in sets.items():
        distances = nearest(flat(windows / scale), among)
        share = float((distances < bound).mean())
        result[name] = Memory(share / FLAGGED, float(np.median(distances) / np.median(usual)))
    return result


def strangers(place: int, count: int) -> Tensor:
    """Which of `count` windows start a week or more before or after the one at `place`."""
    return (torch.arange(count) - place).abs() >= WEEK


def nearest(ones: Tensor, others: Tensor) -> np.ndarray:
    """Distance of each of `ones` to the nearest of `others`."""
    return torch.cat([torch.cdist(part, others).amin(dim=1) for part in ones.split(500)]).numpy()


def flat(windows: np.ndarray) -> Tensor:
    return torch.tensor(windows.reshape(len(windows), -1), dtype=torch.float32)


STRIDE = 23
"""Of the real windows, every how many is looked at; no divisor of a day, so that all hours are among them."""
FLAGGED = 0.05
