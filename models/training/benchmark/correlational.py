"""How far the channels' correlations are from the real ones."""

import numpy as np

REPEATS = 5
DIVISOR = 10.0
"""Of the published score, whatever the number of channels."""


def correlational(real: np.ndarray, synthetic: np.ndarray, seed: int) -> float:
    """Sum over pairs of channels of the absolute difference of their correlations, divided by 10 (Liao et al. 2020).

    Mean over random fifths of the windows [n, time, channels]; the fifths of the two sets are drawn independently, so that
    equal sets do not score 0.
    """
    rng = np.random.default_rng(seed)
    size = len(real) // REPEATS
    pairs = np.tril_indices(real.shape[-1])
    differences = [
        np.abs(correlations(draw(real, size, rng)) - correlations(draw(synthetic, size, rng)))[pairs].sum()
        for _ in range(REPEATS)
    ]
    return float(np.mean(differences)) / DIVISOR


def correlations(windows: np.ndarray) -> np.ndarray:
    """[channels, channels], over all rows of all windows."""
    return np.corrcoef(windows.reshape(-1, windows.shape[-1]).T)


def draw(windows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return windows[rng.choice(len(windows), size, replace=False)]
