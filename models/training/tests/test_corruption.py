"""What is to be kept goes into input and target, what is to be removed into the input only."""

import pytest
import torch

from wheeltapper_training import corruption
from wheeltapper_training.corruption import Corruption
from wheeltapper_training.scaling import CLIP

SHAPE = (512, 2, 50)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_drift_enters_input_and_target_alike(generator, monkeypatch):
    monkeypatch.setattr(corruption, "FAULT_PROBABILITY", 0.0)
    monkeypatch.setattr(corruption, "NOISE_SHARE", 0.0)
    still = torch.zeros(SHAPE)
    given, target = Corruption(noise=torch.full((2,), 0.1), drift=torch.ones(2)).apply(still, still, generator)
    assert torch.equal(given, target)
    assert target.abs().max() > 1.0


def test_faults_and_noise_enter_the_input_only(generator):
    still = torch.zeros(SHAPE)
    given, target = Corruption(noise=torch.full((2,), 0.1), drift=torch.zeros(2)).apply(still, still, generator)
    assert torch.equal(target, still)
    assert given.abs().max() > 1.0


def test_nothing_leaves_the_range_of_scaled_values(generator):
    still = torch.zeros(SHAPE)
    pair = Corruption(noise=torch.full((2,), 0.1), drift=torch.full((2,), 50.0)).apply(still, still, generator)
    assert all(signal.abs().max() <= CLIP for signal in pair)


def test_a_fault_changes_nothing_before_its_onset(generator):
    signal = torch.randn(SHAPE, generator=generator)
    faults = Corruption(noise=torch.full((2,), 0.1), drift=torch.zeros(2)).draw_faults(signal, generator)
    begun = (faults != 0).float().cummax(dim=-1).values
    assert 0.0 < begun[..., 0].mean() < begun[..., -1].mean() < 0.3
