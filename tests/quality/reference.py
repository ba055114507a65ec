"""Makes reference.json: two small sets of windows by a formula, and what numpy, scipy, scikit-learn and torch say of them.

    pip install numpy scipy scikit-learn torch
    python tests/quality/reference.py

The tests in src/generation/quality hold each measure against it; they need no Python.
"""

import json
from pathlib import Path

import numpy as np
import torch
from scipy import linalg, signal, stats
from scipy.spatial.distance import cdist, pdist
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier

CHANNELS, ROWS, WINDOWS, GROUP = 3, 12, 36, 4
PENALTY, SHRINKAGE, RIDGE, NEIGHBOURS, FLAGGED = 0.01, 1e-3, 1e-3, 5, 0.05


def main() -> None:
    random = np.random.default_rng(3)
    one, other = windows(random, 0.0), windows(random, 0.4)
    labels = np.stack([np.arange(WINDOWS) // 12 * 10.0, np.arange(WINDOWS) % 2 * 1.0], axis=1)
    flat_one, flat_other = one.reshape(WINDOWS, -1), other.reshape(WINDOWS, -1)
    found = {
        "one": flat_one.tolist(),
        "other": flat_other.tolist(),
        "labels": labels.tolist(),
        "ks": [stats.ks_2samp(one[:, :, c].ravel(), other[:, :, c].ravel()).statistic for c in range(CHANNELS)],
        "wasserstein": [stats.wasserstein_distance(one[:, :, c].ravel(), other[:, :, c].ravel()) for c in range(CHANNELS)],
        "correlation": np.abs(np.tril(correlations(one) - correlations(other))).sum() / 10,
        "acf": np.abs(autocorrelations(one) - autocorrelations(other)).mean(),
        "psd": np.abs(np.log(spectrum(one) / spectrum(other))).mean(),
        "high_frequency": np.exp(np.log(upper(one) / upper(other)).mean()),
        "mmd": discrepancy(flat_one, flat_other),
        "frechet": frechet(flat_one[:, :6], flat_other[:, :6]),
        "convolutions": convolutions(random, one),
        "logistic": logistic(flat_one, flat_other),
        "perceptron": perceptron(random, flat_one, flat_other),
        "told": [told(flat_one, flat_other, labels[:, label]) for label in range(2)],
        "privacy": privacy(flat_one, flat_other, between(flat_one, flat_other)),
        "additive": additive(flat_one, labels),
    }
    Path(__file__).with_name("reference.json").write_text(json.dumps(found) + "\n")


def windows(random: np.random.Generator, moved: float) -> np.ndarray:
    """[window, row, channel]: a wave, a walk that forgets, and a level that goes with the labels."""
    noise = random.normal(size=(WINDOWS, ROWS, CHANNELS))
    for row in range(1, ROWS):
        noise[:, row, 1] = 0.8 * noise[:, row - 1, 1] + 0.6 * noise[:, row, 1]
    wave = np.sin(2 * np.pi * np.arange(ROWS) / ROWS)
    place = np.arange(WINDOWS)
    noise[:, :, 0] += 2 * wave + moved
    noise[:, :, 1] += (place // 12)[:, None] * 0.8
    noise[:, :, 2] = noise[:, :, 2] * (1 + moved) + (place % 2)[:, None] * 0.7 + 0.5 * noise[:, :, 0]
    return np.round(noise, 4)


def between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Windows on the way from one to the other, the first near copies."""
    share = np.linspace(0.05, 0.8, WINDOWS)[:, None]
    return np.round(one * (1 - share) + other * share, 4)


def correlations(it: np.ndarray) -> np.ndarray:
    return np.corrcoef(it.reshape(-1, CHANNELS).T)


def autocorrelations(it: np.ndarray) -> np.ndarray:
    centred = it - it.reshape(-1, CHANNELS).mean(0)
    variance = (centred**2).reshape(-1, CHANNELS).mean(0)
    lags = range(1, ROWS // 2 + 1)
    return np.stack([(centred[:, lag:] * centred[:, :-lag]).mean((0, 1)) / variance for lag in lags])


def spectrum(it: np.ndarray) -> np.ndarray:
    _, power = signal.periodogram(it, axis=1, detrend="constant", return_onesided=False)
    return power[:, 1 : ROWS // 2 + 1].mean(0)


def upper(it: np.ndarray) -> np.ndarray:
    return spectrum(it)[ROWS // 4 :].sum(0)


def discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    within_one, within_other = pdist(one, "sqeuclidean"), pdist(other, "sqeuclidean")
    across = cdist(one, other, "sqeuclidean").ravel()
    everything = np.sort(np.concatenate([within_one, within_other, across]))
    kernel = lambda it: np.exp(-it / (2 * everything[len(everything) // 2])).mean()
    return kernel(within_one) + kernel(within_other) - 2 * kernel(across)


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    a, b = np.cov(one.T, bias=True), np.cov(other.T, bias=True)
    apart = one.mean(0) - other.mean(0)
    return float(apart @ apart + np.trace(a + b - 2 * np.real(linalg.sqrtm(a @ b))))


def convolutions(random: np.random.Generator, it: np.ndarray) -> dict:
    kernels = np.round(random.normal(size=(4, CHANNELS, 3)), 3)
    biases, dilations = [0.1, -0.2, 0.3, 0.0], [1, 2, 4, 1]
    series = torch.tensor(it.transpose(0, 2, 1))
    features = []
    for kernel, bias, dilation in zip(kernels, biases, dilations):
        answer = torch.nn.functional.conv1d(
            series, torch.tensor(kernel[None]), torch.tensor([bias], dtype=torch.float64), dilation=dilation
        )[:, 0]
        features += [(answer > 0).double().mean(1), answer.max(1).values]
    return {
        "weights": kernels.transpose(0, 2, 1).tolist(), "biases": biases, "dilations": dilations,
        "features": torch.stack(features, 1).tolist(),
    }


def both(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([one, other]), np.repeat([0.0, 1.0], [len(one), len(other)])


def logistic(one: np.ndarray, other: np.ndarray) -> list[float]:
    rows, classes = both(one, other)
    fitted = LogisticRegression(C=1 / (PENALTY * len(rows)), tol=1e-10, max_iter=100_000).fit(rows, classes)
    return fitted.predict_proba(rows)[:, 1].tolist()


def perceptron(random: np.random.Generator, one: np.ndarray, other: np.ndarray) -> dict:
    rows, classes = both(one, other)
    shapes = [(rows.shape[1], 4), (1, 4), (4, 1), (1, 1)]
    parameters = [torch.tensor(np.round(random.normal(size=shape) * 0.3, 3), requires_grad=True) for shape in shapes]
    hidden = torch.relu(torch.tensor(rows) @ parameters[0] + parameters[1])
    answer = torch.sigmoid(hidden @ parameters[2] + parameters[3])[:, 0]
    torch.nn.functional.binary_cross_entropy(answer, torch.tensor(classes)).backward()
    return {
        "parameters": [it.tolist() for it in parameters], "gradients": [it.grad.tolist() for it in parameters],
        "probabilities": answer.tolist(),
    }


def told(learnt: np.ndarray, judged: np.ndarray, label: np.ndarray) -> list[float]:
    """Shares that are told rightly by discriminants, ridge regression and neighbours."""
    levels = np.unique(label)
    classes = np.searchsorted(levels, label)
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=SHRINKAGE, priors=np.full(len(levels), 1 / len(levels))
    ).fit(learnt, classes)
    penalty = RIDGE * len(learnt) * np.cov(learnt.T, bias=True).trace() / learnt.shape[1]
    ridge = Ridge(alpha=penalty).fit(learnt, np.eye(len(levels))[classes])
    neighbours = KNeighborsClassifier(NEIGHBOURS).fit(learnt, classes)
    answers = [discriminant.predict(judged), ridge.predict(judged).argmax(1), neighbours.predict(judged)]
    return [float((answer == classes).mean()) for answer in answers]


def privacy(train: np.ndarray, holdout: np.ndarray, synthetic: np.ndarray) -> dict:
    to_train, to_holdout = cdist(synthetic, train), cdist(synthetic, holdout)
    threshold = np.quantile(to_holdout.min(0), FLAGGED)
    two = np.sort(to_train, axis=1)[:, :2]
    within = cdist(train, train) + np.where(np.eye(len(train)), np.inf, 0)
    yardstick = 0.5 * np.quantile(within.min(1), 0.01)
    return {
        "synthetic": synthetic.tolist(),
        "closer": (to_train.min(1) < to_holdout.min(1)).mean(),
        "flags": (to_train.min(0) < threshold).mean() / FLAGGED,
        "nearest_ratio": np.median(two[:, 0] / two[:, 1]),
        "near_duplicates": (two[:, 0] < yardstick).mean(),
    }


def additive(it: np.ndarray, labels: np.ndarray) -> dict:
    """Means at the conditions of the windows, and what is left of their covariance, of a linear model of the labels."""
    indicators = [(labels[:, [0]] == [10.0, 20.0]), labels[:, [1]] == [1.0]]
    design = np.concatenate([np.ones((WINDOWS, 1)), *indicators], axis=1).astype(float)
    mean = design @ np.linalg.lstsq(design, it, rcond=None)[0]
    return {"mean": mean.tolist(), "variance": ((it - mean) ** 2).mean(0).tolist()}


if __name__ == "__main__":
    main()
