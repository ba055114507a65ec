"""The additive model and the noise are found again in data made from them."""

import numpy as np
import pytest

from wheeltapper_training.recordings import CHANNELS, CYCLE, HEALTHY, Condition, Run
from wheeltapper_training.template import fit_noise, fit_template

CYCLES = 60


def make_runs(white: float, slow: float, phi: float) -> list[Run]:
    rng = np.random.default_rng(5)
    shape = np.sin(np.arange(CYCLE) / CYCLE * 2 * np.pi)[:, None] * np.ones(len(CHANNELS))
    runs = []
    for number in range(8):
        leaking = number % 2
        state = np.zeros(len(CHANNELS))
        rows = np.tile(shape + 3.0 * leaking, (CYCLES, 1))
        for row in rows:
            state = phi * state + slow * np.sqrt(1 - phi**2) * rng.normal(size=state.shape)
            row += state + white * rng.normal(size=state.shape)
        runs.append(Run(number, Condition(100, 100, leaking, 130) if leaking else HEALTHY, rows))
    return runs


def test_effect_of_a_defect_adds_to_the_healthy_cycle():
    template = fit_template(make_runs(white=0.01, slow=0.0, phi=0.0))
    assert template.effects["pump", 1] == pytest.approx(3.0, abs=0.05)
    assert template.effects["pump", 2] == pytest.approx(0.0, abs=1e-9)


def test_noise_is_split_into_a_white_and_a_slow_part():
    runs = make_runs(white=0.3, slow=0.5, phi=0.9)
    noise = fit_noise(runs, fit_template(runs))
    assert np.median(noise.white_sd) == pytest.approx(0.3, rel=0.1)
    assert np.median(noise.ar1_sd) == pytest.approx(0.5, rel=0.1)
    assert np.median(noise.ar1_phi) == pytest.approx(0.9, rel=0.05)
