"""Who is compared: the diffusion model, and what every score has to be seen beside."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .diffusion import Denoiser, Recipe, sample, train
from .half_whitening import HalfWhitening

SAMPLER_STEPS = 20


class Pair(NamedTuple):
    """Windows [n, time, channels] that a score sets side by side."""

    real: np.ndarray
    synthetic: np.ndarray


class Diffusion:
    """A denoiser that has learned from windows [n, time, channels], and its coordinates."""

    def __init__(self, windows: np.ndarray, recipe: Recipe, seed: int, checkpoint: Path):
        """Trains, or takes the weights that an earlier call has left at `checkpoint`."""
        self.shape = windows.shape[1:]
        self.whitening = HalfWhitening.fit(flattened(windows))
        deviation = torch.tensor(self.whitening.deviation, dtype=torch.float32)
        if checkpoint.exists():
            self.net = Denoiser(deviation, recipe)
            self.net.load_state_dict(torch.load(checkpoint, weights_only=True))
        else:
            self.net = train(self.whitening.apply(flattened(windows)), self.whitening.deviation, recipe, seed)
            torch.save(self.net.state_dict(), checkpoint)
        self.net.eval()

    def draw(self, count: int, seed: int) -> np.ndarray:
        return in_range(self.whitening.revert(sample(self.net, count, SAMPLER_STEPS, seed)), self.shape)


def gaussian(windows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws with the mean and covariance of flattened windows: what needs no network at all."""
    flat = flattened(windows)
    drawn = np.random.default_rng(seed).multivariate_normal(flat.mean(axis=0), np.cov(flat.T), count)
    return in_range(drawn, windows.shape[1:])


def copies(windows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Windows that were learned from, with 2 % of noise: what no generator may be near in the figures of memory."""
    rng = np.random.default_rng(seed)
    chosen = windows[rng.choice(len(windows), count)]
    noise = rng.normal(size=chosen.shape) * windows.std(axis=(0, 1))
    return in_range(flattened(chosen + 0.02 * noise), windows.shape[1:])


def halves(windows: np.ndarray, seed: int) -> Pair:
    """Two random halves of the real windows: the floor of a score."""
    order = np.random.default_rng(seed).permutation(len(windows))
    return Pair(windows[order[:len(order) // 2]], windows[order[len(order) // 2:]])


def in_range(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Windows with all values held to 0..1, which no real one leaves."""
    return flat.reshape(-1, *shape).clip(0.0, 1.0)


def flattened(windows: np.ndarray) -> np.ndarray:
    return windows.reshape(len(windows), -1)
