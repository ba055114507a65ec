"""How good synthetic windows are beside held-out real ones, and whether they are copies."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .generator_windows import LEVELS, Windows
from .recordings import CHANNELS, CYCLE


def quality(synthetic: Windows, train: Windows, held_out: Windows, seed: int) -> dict[str, float | list[float]]:
    """All figures of one draw. Runs of `synthetic` are those whose labels it was made for; no run is both learned from and judged."""
    train, held_out = train.thinned(seed), held_out.thinned(seed)
    distance = marginal_distance(synthetic.series, held_out.series)
    trained_on_real = accuracy(train, held_out)
    return {
        "c2st": told_apart(synthetic.flat, synthetic.run, held_out.flat, held_out.run, seed),
        "fine": told_apart(
            steps(synthetic, train), synthetic.run, steps(held_out, train), held_out.run, seed
        ),
        "high": high_energy(synthetic, held_out),
        "psd": float(np.abs(power_ratio(synthetic, held_out)).mean()),
        "ks": distance / marginal_distance(train.series, held_out.series),
        "tstr": [one / other for one, other in zip(accuracy(synthetic, held_out), trained_on_real, strict=True)],
        "obeyed": accuracy(train, synthetic),
        **memory(synthetic, train, held_out, seed),
    }


def told_apart(one: np.ndarray, runs_of_one: np.ndarray, other: np.ndarray, runs_of_other: np.ndarray, seed: int) -> float:
    """|accuracy − 0.5| of a small network that tells two sets apart, five folds of whole runs, both sets weighing the same."""
    runs = np.unique(np.concatenate([runs_of_one, runs_of_other]))
    fold = dict(zip(runs, np.random.default_rng(seed).permutation(len(runs)) % FOLDS, strict=True))
    inputs = np.concatenate([one, other])
    is_one = np.arange(len(inputs)) < len(one)
    folds = np.array([fold[run] for run in np.concatenate([runs_of_one, runs_of_other])])
    right = np.zeros(len(inputs))
    for judged in range(FOLDS):
        learned = folds != judged
        mean, deviation = inputs[learned].mean(axis=0), inputs[learned].std(axis=0)
        scaled = np.clip((inputs - mean) / np.where(deviation > 0, deviation, 1.0), -LARGEST, LARGEST)
        told = _judge(scaled[learned], is_one[learned], scaled[~learned], seed + judged)
        right[~learned] = told == is_one[~learned]
    return abs((right[is_one].mean() + right[~is_one].mean()) / 2 - 0.5)


def _judge(inputs: np.ndarray, wanted: np.ndarray, judged: np.ndarray, seed: int) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(inputs.shape[1], 64), nn.ReLU(), nn.Linear(64, 1))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    inputs, wanted = torch.tensor(inputs, dtype=torch.float32), torch.tensor(wanted, dtype=torch.float32)
    weight = torch.where(wanted > 0, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs), generator=generator).split(64):
            told = net(inputs[batch])[:, 0]
            loss = functional.binary_cross_entropy_with_logits(told, wanted[batch], weight[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return (net(torch.tensor(judged, dtype=torch.float32))[:, 0] > 0).numpy()


def steps(windows: Windows, train: Windows) -> np.ndarray:
    """From second to second, each over its deviation in `train`; where that is 0 in all real data, over its channel's smallest."""
    change, real = np.diff(windows.series, axis=2), np.diff(train.series, axis=2).std(axis=0)
    least = np.where(real > LEAST_STEP, real, np.inf).min(axis=1, keepdims=True)
    return (change / np.maximum(real, least)).reshape(len(change), -1)


def high_energy(synthetic: Windows, held_out: Windows) -> float:
    """Relative to the real one: geometric mean over channels and high frequencies."""
    return float(np.exp(power_ratio(synthetic, held_out)[:, HIGH_FROM:].mean()))


def power_ratio(synthetic: Windows, held_out: Windows) -> np.ndarray:
    """Logarithm of synthetic by real power, [channels, frequencies above 0]."""
    return np.log(power(synthetic.series).mean(axis=0) / power(held_out.series).mean(axis=0))


def power(series: np.ndarray) -> np.ndarray:
    """Power spectrum of windows [n, channels, seconds] under a Hann window, [n, channels, frequencies above 0]."""
    levelled = (series - series.mean(axis=2, keepdims=True)) * np.hanning(CYCLE)
    return (np.abs(np.fft.rfft(levelled, axis=2)) ** 2)[..., 1:]


def autocorrelation(series: np.ndarray) -> np.ndarray:
    """Of each channel about the window's mean, at lags of 1 to 30 s, mean over windows that are not constant, [channels, lags]."""
    levelled = series - series.mean(axis=2, keepdims=True)
    energy = (levelled**2).sum(axis=2)
    moving = energy > 0
    lagged = np.stack([(levelled[..., lag:] * levelled[..., :-lag]).sum(axis=2) for lag in range(1, CYCLE // 2 + 1)], axis=2)
    share = lagged / np.where(moving, energy, 1.0)[..., None]
    return (share * moving[..., None]).sum(axis=0) / np.maximum(moving.sum(axis=0), 1)[:, None]


def marginal_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of a channel's values, mean over channels."""
    distances = []
    for channel in range(len(CHANNELS)):
        first, second = np.sort(one[:, channel].ravel()), np.sort(other[:, channel].ravel())
        points = np.concatenate([first, second])
        below = [np.searchsorted(values, points, side="right") / len(values) for values in (first, second)]
        distances.append(np.abs(below[0] - below[1]).max())
    return float(np.mean(distances))


def accuracy(learned: Windows, judged: Windows) -> list[float]:
    """Of linear discriminants for each label, on principal components with a ridge, balanced over the label's levels."""
    mean, deviation = learned.flat.mean(axis=0), learned.flat.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    inputs, test = ((windows.flat - mean) / deviation for windows in (learned, judged))
    result = []
    for label, levels in enumerate(LEVELS.values()):
        means, within = [], np.zeros((inputs.shape[1],) * 2)
        for level in levels:
            own = inputs[learned.labels[:, label] == level]
            means.append(own.mean(axis=0))
            within += (own - means[-1]).T @ (own - means[-1])
        within = within / len(inputs) + RIDGE * np.eye(len(within))
        centres = np.array(means)
        weights = np.linalg.solve(within, centres.T)
        scores = test @ weights - 0.5 * (centres * weights.T).sum(axis=1)
        result.append(float((np.array(levels)[scores.argmax(axis=1)] == judged.labels[:, label]).mean()))
    return result


def memory(synthetic: Windows, train: Windows, held_out: Windows, seed: int) -> dict[str, float]:
    """Membership flag ratio at 5 %, the same for held-out windows among themselves, near-duplicates, and the share closer to
    train than to as many held-out windows; each a mean of draws."""
    scale = train.flat.std(axis=0)
    used = scale > 0
    sets = [torch.tensor(windows.flat[:, used] / scale[used]) for windows in (synthetic, train, held_out)]
    to_train = torch.cdist(sets[0], sets[1])
    to_held_out = torch.cdist(sets[0], sets[2])
    between = torch.cdist(sets[2], sets[1])
    rng = np.random.default_rng(seed)
    runs = np.unique(held_out.run)
    flags, real_flags, closer = [], [], []
    for _ in range(DRAWS):
        reference = np.isin(held_out.run, rng.permutation(runs)[:len(runs) // 2])
        limit = np.quantile(between[reference].min(dim=1).values, FLAGGED)
        flags.append(float((to_train.min(dim=1).values < limit).double().mean()) / FLAGGED)
        real_flags.append(float((between[~reference].min(dim=1).values < limit).double().mean()) / FLAGGED)
        size = min(len(train.flat), len(held_out.flat))
        some_train = to_train[:, rng.permutation(len(train.flat))[:size]].min(dim=1).values
        some_held = to_held_out[:, rng.permutation(len(held_out.flat))[:size]].min(dim=1).values
        closer.append(float((some_train < some_held).double().mean()))
    duplicates = float((to_train.min(dim=1).values < DUPLICATE * between.min()).sum())
    return {
        "flag": float(np.mean(flags)),
        "real_flag": float(np.mean(real_flags)),
        "closer": float(np.mean(closer)),
        "duplicates": duplicates,
    }


FOLDS = 5
EPOCHS = 40
LARGEST = 10.0
"""Of a scaled value that the judge sees."""
LEAST_STEP = 1e-4
HIGH_FROM = 15
"""First frequency, in 60ths of a hertz, that counts as high."""
RIDGE = 1e-3
DRAWS = 20
FLAGGED = 0.05
DUPLICATE = 0.5
"""Of the smallest distance from any held-out window to one of train."""
