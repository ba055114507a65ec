"""How far synthetic windows are from real ones in the space of an encoder that has learned from the real ones."""

import numpy as np
from torch import nn

from .context_encoder import encode


def context_fid(encoder: nn.Module, real: np.ndarray, synthetic: np.ndarray) -> float:
    """Fréchet distance of what the encoder gives for windows [n, time, channels] (Jeha et al. 2022, section 4)."""
    return frechet(encode(encoder, real), encode(encoder, synthetic))


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of the normal distributions with the mean and covariance of points [n, dimensions]."""
    root = square_root(np.cov(one.T))
    product = np.linalg.eigvalsh(root @ np.cov(other.T) @ root)
    apart = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    spread = np.sum(one.var(axis=0, ddof=1)) + np.sum(other.var(axis=0, ddof=1))
    return float(apart + spread - 2.0 * np.sum(np.sqrt(np.maximum(product, 0.0))))


def square_root(covariance: np.ndarray) -> np.ndarray:
    variances, axes = np.linalg.eigh(covariance)
    return (axes * np.sqrt(np.maximum(variances, 0.0))) @ axes.T
