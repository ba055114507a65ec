"""The recipe of `hydraulic-dae`: which runs are learned, how large corruption is, and how long to train."""

from collections import defaultdict

import numpy as np
import torch

from .causal_net import CausalDenoiser
from .corruption import Corruption
from .recordings import CHANNELS, CYCLE, HEALTHY, Condition, Run
from .scaling import CALIBRATION_ROWS, Scale, spread_floor
from .train import Lesson, Schedule, fit

WIDTH = 32
KERNEL = 5
DILATIONS = (1, 2, 4, 8)


def split(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """Runs to learn from and runs to judge on: those with the cooler at full efficiency are held out."""
    learned = [run for run in runs if run.condition.cooler != HEALTHY.cooler]
    held_out = [run for run in runs if run.condition.cooler == HEALTHY.cooler]
    return learned, held_out


def build() -> CausalDenoiser:
    """The untrained net, which sees one load cycle and the row before it."""
    return CausalDenoiser(len(CHANNELS), WIDTH, KERNEL, DILATIONS)


def teaches(run: Run) -> bool:
    """Whether the net learns from a run: it is long enough to calibrate on, never broke down, and its valve is sound.

    A lagging valve changes the shape of the cycle a little. Learned from, that shape would be one more normal one.
    """
    return len(run.rows) > CALIBRATION_ROWS and not run.stalled.any() and run.condition.valve == HEALTHY.valve


def lesson(run: Run, floor: np.ndarray) -> Lesson:
    """A run scaled by its own calibration rows, and what it would be without noise.

    Without noise it is a level, the mean over one cycle centred on each row, plus the mean cycle around that level.
    """
    measured = Scale.calibrate(run.rows[:CALIBRATION_ROWS], floor).apply(run.rows)
    cycle_means = np.lib.stride_tricks.sliding_window_view(measured, CYCLE, axis=0).mean(axis=-1)
    before = CYCLE // 2
    level = np.pad(cycle_means, ((before, len(measured) - len(cycle_means) - before), (0, 0)), mode="edge")
    mean_cycle = (measured - level).reshape(-1, CYCLE, len(CHANNELS)).mean(axis=0)
    return Lesson(measured, level + np.tile(mean_cycle, (len(measured) // CYCLE, 1)))


def measure_corruption(runs: list[Run], floor: np.ndarray) -> Corruption:
    """Noise from within long runs, drift from between runs of one condition, in scaled units."""
    spread = {run.number: Scale.calibrate(run.rows[:CALIBRATION_ROWS], floor).spread for run in runs}
    noise = []
    for run in filter(teaches, runs):
        around_cycle = run.cycles - run.cycles.mean(axis=1, keepdims=True)
        noise.append((around_cycle - around_cycle.mean(axis=0)).std(axis=(0, 1)) / spread[run.number])

    levels: dict[Condition, list[np.ndarray]] = defaultdict(list)
    typical = np.median(list(spread.values()), axis=0)
    for run in runs:
        if not run.stalled.any():
            levels[run.condition].append(run.rows.mean(axis=0) / typical)
    variances = [np.var(group, axis=0, ddof=1) for group in levels.values() if len(group) > 1]
    drift = np.sqrt(np.median(variances, axis=0))
    return Corruption(
        torch.tensor(np.median(noise, axis=0), dtype=torch.float32), torch.tensor(drift, dtype=torch.float32)
    )


def train(runs: list[Run], seed: int) -> tuple[CausalDenoiser, np.ndarray]:
    """A net fitted to `runs`, and the floor of the spread [channels] that goes with it."""
    torch.manual_seed(seed)
    teachers = [run for run in runs if teaches(run)]
    floor = spread_floor([run.rows for run in teachers])
    net = build()
    lessons = [lesson(run, floor) for run in teachers]
    fit(net, lessons, measure_corruption(runs, floor), Schedule(), seed)
    return net.eval(), floor
