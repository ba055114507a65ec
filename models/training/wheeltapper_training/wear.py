"""What wear does to whole cycles, learned in closed form from runs in different condition.

One vector a row: each channel summed over each phase of the newest cycle, with phases as the net tells them. A wear's
grade is a linear function of it, by ridge regression, with all other wears as nuisance: they vary in the runs, so that a
function that follows them is no good. Each run comes after the end of another one, in phase and out of it, so that a
change of load or a stop is not taken for wear.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .cycle_net import CycleDenoiser
from .recordings import CHANNELS, Run
from .scaling import Scale

STRIDE = 7
"""Rows from one vector to the next; shares no divisor with the cycle, so that every phase comes first."""
MOST_CYCLES = 10
"""Of a run; longer ones have no more to say."""
SEAM_WEIGHT = 0.2
"""Of a row whose cycle began in another condition."""
BROKEN_WEIGHT = 0.01
"""Of a row whose cycle began in another phase."""
DRIFT_SHARE = 0.5
"""Of the standard deviation between runs in which a component is sound: part of it is the wear of the others."""
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Wear:
    """A component that wears, the channel that is to tell of it, and how its grades are learned."""

    component: str
    leads: str
    grades: tuple[int, ...]
    """From sound to worst."""
    growth: float
    """The grade from 0 to 1 is taken to this power: below 1 the first grades weigh more."""
    ridge: float

    def grade(self, run: Run) -> float:
        return (self.grades.index(getattr(run.condition, self.component)) / (len(self.grades) - 1)) ** self.growth


def learn(net: CycleDenoiser, runs: list[Run], scale: Scale, wears: tuple[Wear, ...], seed: int) -> np.ndarray:
    """Gives `net` its weights of wear, and returns how far each channel's residual strays between runs, [channels].

    The weights are scaled so that a leading channel's residual is what the worst grade adds to that channel's mean.
    """
    scaled = [scale.apply(run.rows[:MOST_CYCLES * net.shape.period]) for run in runs]
    grades = np.array([[wear.grade(run) for wear in wears] for run in runs])
    generator = np.random.default_rng(seed)
    parts = [_after_another(net, scaled, grades, place, generator) for place in range(len(runs))]
    features, targets, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    spread = features.std(axis=0) + LEAST_SPREAD
    design = np.hstack([(features - features.mean(axis=0)) / spread, np.ones((len(features), 1))])
    design *= np.sqrt(weights)[:, None]
    gram = design.T @ design
    tables = []
    for place, wear in enumerate(wears):
        penalty = np.diag(np.append(np.full(len(gram) - 1, wear.ridge), 0.0))
        solved = np.linalg.solve(gram + penalty, design.T @ (targets[:, place] * np.sqrt(weights)))
        tables.append((solved[:-1] / spread) * _effect(scaled, grades[:, place], list(CHANNELS).index(wear.leads)))
    usual = np.array([np.average(features @ table, weights=weights) for table in tables])
    shaped = np.stack(tables).reshape(len(wears), net.shape.phases, -1)
    drift = np.zeros(len(CHANNELS))
    for place, wear in enumerate(wears):
        means = [(part[0] @ tables[place]).mean() for part, grade in zip(parts, grades[:, place], strict=True) if grade == 0.0]
        drift[list(CHANNELS).index(wear.leads)] = DRIFT_SHARE * np.std(means)
    net.learn_wear(torch.tensor(shaped, dtype=torch.float32), torch.tensor(usual, dtype=torch.float32))
    return drift


def _effect(scaled: list[np.ndarray], grades: np.ndarray, channel: int) -> float:
    means = np.array([rows[:, channel].mean() for rows in scaled])
    return float(means[grades == 1.0].mean() - means[grades == 0.0].mean())


def _after_another(
    net: CycleDenoiser, scaled: list[np.ndarray], grades: np.ndarray, place: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, grades and weights of a run that comes after another one, once in phase and once out of it."""
    period = net.shape.period
    reach = net.window - 1
    pieces = []
    for seam_weight, start in ((SEAM_WEIGHT, 0), (BROKEN_WEIGHT, int(generator.integers(1, period)))):
        other = int(generator.integers(len(scaled)))
        before = np.resize(scaled[other], (-(-reach // period) * period + period, scaled[other].shape[1]))
        run = scaled[place] if len(scaled[place]) > 2 * period else np.tile(scaled[place], (3, 1))
        rows = np.concatenate([before, run[start:]])
        ours = np.arange(len(rows)) >= len(before)
        share = np.convolve(ours, np.full(period, 1 / period))[:len(rows), None]
        taken = np.arange(len(before) + int(generator.integers(STRIDE)), len(rows), STRIDE)
        weights = np.where(taken < len(before) + reach, seam_weight, 1.0) / len(taken)
        mean_grades = share * grades[place] + (1 - share) * grades[other]
        pieces.append((_cycle_sums(net, rows)[taken], mean_grades[taken], weights))
    return tuple(np.concatenate(column) for column in zip(*pieces, strict=True))


def _cycle_sums(net: CycleDenoiser, rows: np.ndarray) -> np.ndarray:
    """Sums of each channel over each phase of the newest cycle, [time, phases · channels]."""
    with torch.no_grad():
        phases = net.phases(torch.tensor(rows.T[None], dtype=torch.float32))[0].numpy().T.astype(np.float64)
    products = (phases[:, :, None] * rows[:, None]).reshape(len(rows), -1)
    summed = products.cumsum(axis=0)
    period = net.shape.period
    summed[period:] -= summed[:-period].copy()
    return summed
