"""Fits the template of the hydraulic rig: a mean healthy cycle, what each defect adds to it, and the noise around it."""

import csv
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from .recordings import CHANNELS, COMPONENTS, CYCLE, Run

DEFECTS = {"cooler": (20, 3), "valve": (90, 80, 73), "pump": (1, 2), "accumulator": (115, 100, 90)}
FULL_WEIGHT_CYCLES = 10
"""A run of more cycles than this counts as much as one of this many."""
LAGS = (0, 1, 10)
"""Lags in rows, the first of which must be 0."""
LARGEST_PHI = 0.9999


@dataclass(frozen=True)
class Template:
    """`base` is [seconds, channels]; `effects` are the same, by component and level, and add to it."""

    base: np.ndarray
    effects: dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class Noise:
    """What a run does around its own mean cycle, each [channels].

    A row is mean cycle + run offset + slow + white, where slow[t] = phi * slow[t-1] + innovation and `ar1_sd` is the
    standard deviation of slow itself.
    """

    white_sd: np.ndarray
    ar1_phi: np.ndarray
    ar1_sd: np.ndarray
    run_sd: np.ndarray


def fit_template(runs: list[Run]) -> Template:
    """Additive model of the cycles, by weighted least squares over the runs' mean cycles."""
    terms = [(component, level) for component in COMPONENTS for level in DEFECTS[component]]
    design = np.array([
        [1.0, *(float(getattr(run.condition, component) == level) for component, level in terms)] for run in runs
    ])
    mean_cycles = np.array([run.cycles.mean(axis=0).ravel() for run in runs])
    weight = _root_weights(runs)
    solution, *_ = np.linalg.lstsq(design * weight, mean_cycles * weight, rcond=None)
    base, *effects = solution.reshape(-1, CYCLE, len(CHANNELS))
    return Template(base, dict(zip(terms, effects, strict=True)))


def fit_noise(runs: list[Run], template: Template) -> Noise:
    """Moments of the residuals: within runs from their autocovariance, between runs from their level.

    White noise adds to the autocovariance at lag 0 only, and the slow part is sd² phi^lag, so phi follows from two lags
    above 0, and the rest from phi. The autocovariance is the median over the runs that have more than one cycle.
    """
    covariances = np.median([autocovariance(run, LAGS) for run in runs if len(run.cycles) > 1], axis=0)
    total, near, far = covariances
    near = np.clip(near, 0.0, total)
    ratio = np.divide(far, near, out=np.zeros_like(far), where=near > 0)
    phi = np.clip(ratio, 0.0, LARGEST_PHI) ** (1 / (LAGS[2] - LAGS[1]))
    slow = np.where(phi > 0, np.minimum(near / np.maximum(phi, 0.5) ** LAGS[1], total), 0.0)

    levels = np.array([run.rows.mean(axis=0) - expected_level(run, template) for run in runs])
    weight = _root_weights(runs) ** 2
    run_variance = (weight * levels**2).sum(axis=0) / weight.sum()
    return Noise(np.sqrt(total - slow), phi, np.sqrt(slow), np.sqrt(run_variance))


def autocovariance(run: Run, lags: tuple[int, ...]) -> np.ndarray:
    """Of the rows around the run's own mean cycle, [lags, channels]."""
    rest = (run.cycles - run.cycles.mean(axis=0)).reshape(-1, len(CHANNELS))
    return np.array([(rest[lag:] * rest[:len(rest) - lag]).mean(axis=0) for lag in lags])


def expected_level(run: Run, template: Template) -> np.ndarray:
    """Mean over a cycle, [channels], that the template gives for the run's condition."""
    cycle = template.base + sum(
        effect for (component, level), effect in template.effects.items()
        if getattr(run.condition, component) == level
    )
    return cycle.mean(axis=0)


def write_cycle(template: Template, path: Path) -> None:
    """Writes the base, `component` "base" and `level` 0, and each effect, a row a second."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["component", "level", "second", *CHANNELS])
        for (component, level), cycle in ({("base", 0): template.base} | template.effects).items():
            for second, row in enumerate(cycle):
                writer.writerow([component, level, second, *(f"{value:.5g}" for value in row)])


def write_noise(noise: Noise, path: Path) -> None:
    """Writes one row a channel."""
    names = [field.name for field in fields(noise)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["channel", *names])
        for index, channel in enumerate(CHANNELS):
            writer.writerow([channel, *(f"{getattr(noise, name)[index]:.5g}" for name in names)])


def _root_weights(runs: list[Run]) -> np.ndarray:
    """Square root of the weight of each run, [runs, 1]: by its cycles, up to 10."""
    cycles = np.array([[len(run.cycles)] for run in runs])
    return np.sqrt(np.minimum(cycles, FULL_WEIGHT_CYCLES))
