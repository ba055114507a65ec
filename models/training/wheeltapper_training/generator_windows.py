"""The rig's load cycles as windows with their labels, split by whole runs."""

from dataclasses import dataclass

import numpy as np

from .recordings import CHANNELS, CYCLE, Run

LEVELS = {
    "cooler": (100.0, 20.0, 3.0),
    "valve": (100.0, 90.0, 80.0, 73.0),
    "pump": (0.0, 1.0, 2.0),
    "accumulator": (130.0, 115.0, 100.0, 90.0),
}
"""Levels of each label, healthy first, worse and worse."""
UNITS = {"cooler": "%", "valve": "%", "pump": "", "accumulator": "bar"}
CONDITION = sum(len(levels) for levels in LEVELS.values())
"""Width of a condition: one hat function a level."""
FLAT = len(CHANNELS) * CYCLE
FULL_WEIGHT_CYCLES = 10
"""A run of more cycles than this counts as much as one of this many."""


@dataclass(frozen=True)
class Windows:
    """Load cycles, each with its labels, its run and its weight."""

    series: np.ndarray
    """[windows, channels, seconds], in the channels' units."""
    labels: np.ndarray
    """[windows, labels], in the units of the recording."""
    run: np.ndarray
    """Number of the run, [windows]."""

    @property
    def flat(self) -> np.ndarray:
        """[windows, channels × seconds]."""
        return self.series.reshape(len(self.series), -1)

    @property
    def condition(self) -> np.ndarray:
        """[windows, condition]."""
        return hats(self.labels)

    @property
    def weight(self) -> np.ndarray:
        """Share of each window, [windows]; they sum to 1."""
        _, place, count = np.unique(self.run, return_inverse=True, return_counts=True)
        weight = (np.minimum(count, FULL_WEIGHT_CYCLES) / count)[place]
        return weight / weight.sum()

    def at(self, index: np.ndarray) -> "Windows":
        """Those of `index`, a mask or places."""
        return Windows(self.series[index], self.labels[index], self.run[index])

    def thinned(self, seed: int) -> "Windows":
        """At most ten windows of each run, drawn by `seed`, in the order of recording."""
        rng = np.random.default_rng(seed)
        kept = []
        for run in np.unique(self.run):
            places = np.flatnonzero(self.run == run)
            kept.append(np.sort(rng.permutation(places)[:FULL_WEIGHT_CYCLES]))
        return self.at(np.concatenate(kept))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of windows, and of those that follow them in the same run."""
        before = np.flatnonzero(self.run[1:] == self.run[:-1])
        return before, before + 1


def windows_of(runs: list[Run]) -> Windows:
    """All cycles of the runs, those that broke down included: they are what the rig does in these conditions."""
    return Windows(
        series=np.concatenate([run.cycles.transpose(0, 2, 1) for run in runs]),
        labels=np.concatenate([np.tile(labels_of(run), (len(run.cycles), 1)) for run in runs]),
        run=np.concatenate([np.full(len(run.cycles), run.number) for run in runs]),
    )


def labels_of(run: Run) -> list[float]:
    return [float(getattr(run.condition, name)) for name in LEVELS]


def hats(labels: np.ndarray) -> np.ndarray:
    """Labels [n, labels] as piecewise linear functions, one a level, [n, condition]; those of one label sum to 1."""
    columns = []
    for column, levels in zip(labels.T, LEVELS.values(), strict=True):
        order = np.argsort(levels)
        for place in range(len(levels)):
            columns.append(np.interp(column, np.array(levels)[order], (order == place).astype(float)))
    return np.stack(columns, axis=1)


def split(runs: list[Run], shares: tuple[float, float], seed: int) -> tuple[list[Run], list[Run], list[Run]]:
    """Whole runs drawn by `seed`: the first share of them, the second, and what is left."""
    order = np.random.default_rng(seed).permutation(len(runs))
    ends = np.round(np.cumsum(shares) * len(runs)).astype(int)
    first, second, rest = np.split(order, ends)
    return tuple([runs[place] for place in sorted(part)] for part in (first, second, rest))
