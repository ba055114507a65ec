"""The promises of the net that knows a cycle."""

import numpy as np
import pytest
import torch

from wheeltapper_training.cycle_net import CycleDenoiser, Shape

SHAPE = Shape(period=12, phases=6, width=8, kernel=3, dilations=(1, 2))


@pytest.fixture
def net() -> CycleDenoiser:
    torch.manual_seed(1)
    net = CycleDenoiser(torch.ones(3), [0, 2], SHAPE)
    net.learn_wear(0.1 * torch.randn(2, SHAPE.phases, 3), torch.zeros(2))
    return net.double().eval()


def changed_by(net: CycleDenoiser, column: int) -> torch.Tensor:
    signal = torch.randn(1, 3, 80, dtype=torch.float64)
    nudged = signal.clone()
    nudged[:, 1, column] += 0.5
    return ((net(signal) - signal) != (net(nudged) - nudged))[0]


def test_no_output_depends_on_later_input_and_none_on_more_than_the_window(net):
    columns = changed_by(net, 30).any(dim=0).nonzero()
    assert int(columns.min()) == 30
    assert int(columns.max()) == 30 + net.window - 1


def test_only_leading_channels_are_expected_elsewhere_than_they_are(net):
    signal = torch.randn(2, 3, 50, dtype=torch.float64)
    assert torch.equal(net(signal)[:, 1], signal[:, 1])
    assert not torch.equal(net(signal)[:, 0], signal[:, 0])


def test_no_level_moves_a_phase(net):
    signal = torch.randn(1, 3, 50, dtype=torch.float64)
    settled = slice(SHAPE.memory, None)
    assert torch.allclose(net.phases(signal)[..., settled], net.phases(signal + 7.0)[..., settled])


def test_wear_is_the_weighted_sum_over_the_newest_cycle(net, monkeypatch):
    phase = torch.arange(60) % SHAPE.period * SHAPE.phases // SHAPE.period
    gates = torch.nn.functional.one_hot(phase, SHAPE.phases).T[None].double()
    monkeypatch.setattr(net, "phases", lambda signal: gates)
    weights = 0.01 * torch.randn(2, SHAPE.phases, 3, dtype=torch.float64)
    net.learn_wear(weights, torch.tensor([0.5, 0.0], dtype=torch.float64))
    signal = torch.randn(1, 3, 60, dtype=torch.float64)
    newest = range(60 - SHAPE.period, 60)
    sums = sum(weights[:, phase[t]] @ signal[0, :, t] for t in newest).numpy()
    told = (signal - net(signal))[0, [0, 2], -1].numpy()
    assert np.allclose(told, sums - [0.5, 0.0])
