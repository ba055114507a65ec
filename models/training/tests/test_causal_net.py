"""The promises a streaming consumer relies on."""

import pytest
import torch

from wheeltapper_training.causal_net import CausalDenoiser


@pytest.fixture
def net() -> CausalDenoiser:
    torch.manual_seed(1)
    return CausalDenoiser(channels=3, width=8, kernel=5, dilations=(1, 2, 4)).eval()


def first_and_last_column_changed_by(net: CausalDenoiser, column: int) -> tuple[int, int]:
    signal = torch.randn(1, 3, 100, dtype=torch.float64)
    nudged = signal.clone()
    nudged[..., column] += 10.0
    changed = (net.double()(signal) != net.double()(nudged)).any(dim=1)[0].nonzero()
    return int(changed.min()), int(changed.max())


def test_no_output_depends_on_later_input(net):
    first, _ = first_and_last_column_changed_by(net, 50)
    assert first == 50


def test_window_is_exactly_what_the_newest_output_depends_on(net):
    _, last = first_and_last_column_changed_by(net, 20)
    assert last == 20 + net.window - 1


def test_output_has_the_shape_of_the_input_at_any_length(net):
    for time in (1, net.window, 200):
        assert net(torch.zeros(2, 3, time)).shape == (2, 3, time)
