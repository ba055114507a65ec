"""The recipe of `hydraulic-dae`: which runs are learned, how large corruption is, and how long to train."""

from dataclasses import dataclass

import numpy as np
import torch

from .corruption import Corruption
from .cycle_net import CycleDenoiser, Shape
from .recordings import CHANNELS, CYCLE, Run
from .scaling import Scale, quantile_spread
from .train import Lesson, Schedule, fit_phases
from .wear import Wear, learn

SHAPE = Shape(period=CYCLE, phases=30, width=32, kernel=5, dilations=(1, 2, 4))
WEARS = (
    Wear("cooler", "CE", grades=(100, 20, 3), growth=1.0, ridge=1e-4),
    Wear("valve", "SE", grades=(100, 90, 80, 73), growth=1.0, ridge=1e-2),
    Wear("pump", "FS1", grades=(0, 1, 2), growth=1.0, ridge=1e-4),
    Wear("accumulator", "VS1", grades=(130, 115, 100, 90), growth=0.5, ridge=1e-4),
)
MARGIN = 1.25
"""The floor lies so far above the spread over all conditions that no calibration scales otherwise."""
LEAST_ROWS = 10 * CYCLE
NOISES_A_STEP = 3.0
LARGEST_STEP = 0.3
GAINS = (0.005, 0.1)


@dataclass(frozen=True)
class Trained:
    """A net, and per channel the floor of the spread and the drift of the residual, [channels], in the channel's unit."""

    net: CycleDenoiser
    floor: np.ndarray
    drift: np.ndarray


def every_second(runs: list[Run]) -> list[Run]:
    """The runs to learn from when the others are to judge: the first, the third, and so on."""
    return runs[::2]


def train(runs: list[Run], seed: int) -> Trained:
    """A net fitted to `runs`."""
    torch.manual_seed(seed)
    rows = np.concatenate([run.rows[:LEAST_ROWS] for run in runs])
    scale = Scale(np.median(rows, axis=0), MARGIN * quantile_spread(rows))
    steady = [run for run in runs if len(run.rows) >= LEAST_ROWS and not run.stalled.any()]
    noise = np.median([noise_of(run, scale) for run in steady], axis=0)
    steps = np.median([np.abs(np.diff(scale.apply(run.rows), axis=0)).mean(axis=0) for run in steady], axis=0)
    gain = torch.tensor(1 / np.maximum(NOISES_A_STEP * noise, steps), dtype=torch.float32)
    net = CycleDenoiser(gain, [list(CHANNELS).index(wear.leads) for wear in WEARS], SHAPE)
    still = torch.zeros(len(CHANNELS))
    corruption = Corruption(torch.tensor(noise, dtype=torch.float32), still, LARGEST_STEP, GAINS)
    lessons = [Lesson(scaled, scaled) for scaled in (scale.apply(run.rows) for run in steady)]
    fit_phases(net, lessons, corruption, Schedule(steps=2000, batch=32), seed)
    drift = learn(net, runs, scale, WEARS, seed)
    return Trained(net.eval(), scale.spread, drift * scale.spread)


def noise_of(run: Run, scale: Scale) -> np.ndarray:
    """What a run does around its own mean cycle, a standard deviation per channel, in scaled units."""
    cycles = scale.apply(run.rows).reshape(-1, CYCLE, len(CHANNELS))
    around_level = cycles - cycles.mean(axis=1, keepdims=True)
    return (around_level - around_level.mean(axis=0)).std(axis=(0, 1))
