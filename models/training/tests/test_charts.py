"""The reference of the detector and its figure."""

import numpy as np
import pytest

from wheeltapper_training.charts import LIMIT_QUANTILE, Chart, balanced_average_precision, ewma


def test_one_percent_of_the_calibration_rows_lies_beyond_the_limit():
    smoothed = ewma(np.random.default_rng(0).normal(size=(1000, 3)))
    beyond = (Chart.calibrate(smoothed).score(smoothed) > 1).mean()
    assert beyond == pytest.approx(1 - LIMIT_QUANTILE, abs=1e-3)


def test_a_separating_score_has_area_one_and_a_constant_one_a_half():
    assert balanced_average_precision(np.zeros(5), np.ones(50)) == pytest.approx(1.0)
    assert balanced_average_precision(np.zeros(5), np.zeros(50)) == pytest.approx(0.5)


def test_area_does_not_depend_on_how_many_rows_a_class_has():
    normal, anomalous = np.array([0.1, 0.4, 0.6]), np.array([0.5, 0.7])
    once = balanced_average_precision(normal, anomalous)
    assert balanced_average_precision(np.repeat(normal, 7), anomalous) == pytest.approx(once)
