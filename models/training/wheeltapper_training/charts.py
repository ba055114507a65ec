"""The reference of the detector: a multivariate EWMA chart, and the figure it is judged by.

Chart: Lowry et al., "A Multivariate Exponentially Weighted Moving Average Control Chart", Technometrics 34 (1992).
"""

from dataclasses import dataclass

import numpy as np

SMOOTHING = 0.08
RIDGE = 1e-3
"""Added to the covariance, as a share of its own diagonal."""
LIMIT_QUANTILE = 0.99


def ewma(rows: np.ndarray) -> np.ndarray:
    """Exponentially weighted moving average of rows [time, channels], starting at zero."""
    smoothed = np.empty_like(rows)
    state = np.zeros(rows.shape[1])
    for index, row in enumerate(rows):
        state = state + SMOOTHING * (row - state)
        smoothed[index] = state
    return smoothed


@dataclass(frozen=True)
class Chart:
    """Hotelling's T² of smoothed rows, fitted on calibration."""

    mean: np.ndarray
    precision: np.ndarray
    limit: float

    @classmethod
    def calibrate(cls, smoothed: np.ndarray) -> "Chart":
        """From smoothed calibration rows [time, channels]; the limit is the 0.99 quantile of their own T²."""
        mean = smoothed.mean(axis=0)
        covariance = np.cov(smoothed, rowvar=False)
        precision = np.linalg.inv(covariance + RIDGE * np.diag(np.diag(covariance)))
        unscaled = cls(mean, precision, 1.0)
        return cls(mean, precision, float(np.quantile(unscaled.score(smoothed) ** 2, LIMIT_QUANTILE)))

    def score(self, smoothed: np.ndarray) -> np.ndarray:
        """Square root of T² over its limit, [time]; above 1 is beyond the limit."""
        deviation = smoothed - self.mean
        t_squared = np.einsum("tc,cd,td->t", deviation, self.precision, deviation)
        return np.sqrt(t_squared / self.limit)


def balanced_average_precision(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """Area under the precision-recall curve when both classes weigh the same; 0.5 is chance.

    Average precision without interpolation; equal scores form one step of the curve.
    """
    scores = np.concatenate([normal, anomalous])
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([np.zeros(len(normal)), np.full(len(anomalous), 1 / len(anomalous))])[order].cumsum()
    alarms = np.concatenate([np.full(len(normal), 1 / len(normal)), np.zeros(len(anomalous))])[order].cumsum()
    last_of_step = np.append(np.diff(scores[order]) != 0, True)
    recall, false_alarms = hits[last_of_step], alarms[last_of_step]
    return float(np.sum(np.diff(recall, prepend=0.0) * recall / (recall + false_alarms)))
