"""The small recurrent networks that both recurrent scores use."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

BATCH = 128


class Readers(nn.Module):
    """Gated recurrent units with a linear output, many networks at once: [networks, batch, time, channels] to
    [networks, batch, time].

    Gates and starting weights are those of the published scores (Cho et al. 2014; kernels uniform after Glorot, gates
    open): with three units, other ones give other figures.
    """

    def __init__(self, networks: int, channels: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Parameter(glorot(networks, channels + hidden, 2 * hidden))
        self.news = nn.Parameter(glorot(networks, channels + hidden, hidden))
        self.out = nn.Parameter(glorot(networks, hidden, 1))
        self.gates_bias = nn.Parameter(torch.ones(networks, 1, 2 * hidden))
        self.news_bias = nn.Parameter(torch.zeros(networks, 1, hidden))
        self.out_bias = nn.Parameter(torch.zeros(networks, 1, 1))

    def forward(self, series: Tensor, networks: slice = slice(None)) -> Tensor:
        """For some of the networks only, where `networks` says so."""
        count, batch, length, channels = series.shape
        rows = series.transpose(1, 2).flatten(1, 2)
        gates, news = self.gates[networks], self.news[networks]
        gates_of_input = torch.baddbmm(self.gates_bias[networks], rows, gates[:, :channels]).chunk(length, dim=1)
        news_of_input = torch.baddbmm(self.news_bias[networks], rows, news[:, :channels]).chunk(length, dim=1)
        state = series.new_zeros(count, batch, self.hidden)
        states = []
        for gate, new in zip(gates_of_input, news_of_input, strict=True):
            reset, keep = torch.baddbmm(gate, state, gates[:, channels:]).sigmoid().chunk(2, dim=-1)
            new = torch.baddbmm(new, reset * state, news[:, channels:]).tanh()
            state = torch.lerp(new, state, keep)
            states.append(state)
        told = torch.baddbmm(self.out_bias[networks], torch.cat(states, dim=1), self.out[networks])
        return told.reshape(count, length, batch).transpose(1, 2)

    def apart(self) -> list[slice]:
        """Each network by itself."""
        return [slice(place, place + 1) for place in range(len(self.gates))]


def glorot(networks: int, inputs: int, outputs: int) -> Tensor:
    """Uniform weights [networks, inputs, outputs] (Glorot and Bengio 2010, equation 16)."""
    limit = (6.0 / (inputs + outputs)) ** 0.5
    return torch.empty(networks, inputs, outputs).uniform_(-limit, limit)


def adam(net: nn.Module) -> torch.optim.Optimizer:
    """The same for each network as if it were alone, where the loss is a sum over networks."""
    return torch.optim.Adam(net.parameters(), lr=1e-3)


def draw_batch(sets: Sequence[Tensor]) -> Tensor:
    """Random windows of each of `sets`, [sets, BATCH, time, channels]."""
    return torch.stack([windows[torch.randint(len(windows), (BATCH,))] for windows in sets])


def as_tensor(windows: np.ndarray) -> Tensor:
    return torch.tensor(windows, dtype=torch.float32)
