"""Scales a machine's channels by its own calibration rows, as the daemon does."""

from dataclasses import dataclass

import numpy as np

CALIBRATION_ROWS = 400
CLIP = 12.0
Q90_TO_Q10 = 2.563
"""Distance of the 0.9 and 0.1 quantiles of a normal distribution, in standard deviations."""


def quantile_spread(rows: np.ndarray) -> np.ndarray:
    """(q90 - q10) / 2.563 per channel of `rows` [time, channels]; a standard deviation if they are normal."""
    low, high = np.quantile(rows, [0.1, 0.9], axis=0)
    return (high - low) / Q90_TO_Q10


@dataclass(frozen=True)
class Scale:
    """Median and spread per channel, each [channels]."""

    median: np.ndarray
    spread: np.ndarray

    @classmethod
    def calibrate(cls, rows: np.ndarray, floor: np.ndarray) -> "Scale":
        """From calibration rows [time, channels]; no spread falls below `floor` [channels]."""
        return cls(np.median(rows, axis=0), np.maximum(quantile_spread(rows), floor))

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Rows [time, channels] in spreads from the median, clipped at ±12."""
        return np.clip((rows - self.median) / self.spread, -CLIP, CLIP)


def spread_floor(runs_rows: list[np.ndarray]) -> np.ndarray:
    """Least spread per channel: half of the median spread over the calibration rows of many runs."""
    return 0.5 * np.median([quantile_spread(rows[:CALIBRATION_ROWS]) for rows in runs_rows], axis=0)
