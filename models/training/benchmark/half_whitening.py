"""Coordinates in which a window's components differ less in size than in its own."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HalfWhitening:
    """Principal components of flattened windows, each over the root of its deviation; their mean square is 1."""

    mean: np.ndarray
    """[window]"""
    axes: np.ndarray
    """[window, components], of length 1."""
    divisor: np.ndarray
    """[components]"""
    deviation: np.ndarray
    """[components], of the coordinates."""

    @classmethod
    def fit(cls, flat: np.ndarray) -> "HalfWhitening":
        """From flattened windows [n, window]."""
        mean = flat.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov(flat.T))
        spread = np.sqrt(np.maximum(variances, LEAST_VARIANCE))
        divisor = np.sqrt(spread) * np.sqrt(spread.mean())
        return cls(mean, axes, divisor, spread / divisor)

    def apply(self, flat: np.ndarray) -> np.ndarray:
        """Flattened windows [n, window] as coordinates [n, components]."""
        return (flat - self.mean) @ self.axes / self.divisor

    def revert(self, coordinates: np.ndarray) -> np.ndarray:
        """The inverse of `apply`."""
        return (coordinates * self.divisor) @ self.axes.T + self.mean


LEAST_VARIANCE = 1e-10
