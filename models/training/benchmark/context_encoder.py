"""The encoder of series in whose space the Context-FID is measured: TS2Vec (Yue et al., AAAI 2022)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUT = 320
"""Of a window, numbers that the encoder gives."""


class ContextEncoder(nn.Module):
    """Dilated convolutions over windows [batch, channels, time], to [batch, OUTPUT, time]."""

    def __init__(self, channels: int):
        super().__init__()
        self.lift = nn.Linear(channels, WIDTH)
        blocks = [DilatedBlock(WIDTH, WIDTH, 2**place) for place in range(DEPTH)]
        self.blocks = nn.Sequential(*blocks, DilatedBlock(WIDTH, OUTPUT, 2**DEPTH))
        self.dropout = nn.Dropout(DROPPED)

    def forward(self, windows: Tensor) -> Tensor:
        lifted = self.lift(windows.transpose(1, 2)).transpose(1, 2)
        if self.training:
            lifted = lifted * (torch.rand(len(lifted), 1, lifted.shape[-1]) < SHOWN)
        return self.dropout(self.blocks(lifted))


class DilatedBlock(nn.Module):
    """Two dilated convolutions beside a short cut; the last block's widths differ, so its short cut is a projection."""

    def __init__(self, before: int, after: int, dilation: int):
        super().__init__()
        self.first = nn.Conv1d(before, after, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=dilation, dilation=dilation)
        self.short = nn.Conv1d(before, after, 1) if before != after else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        inner = self.convolved(self.first, functional.gelu(hidden))
        return self.short(hidden) + self.convolved(self.second, functional.gelu(inner))

    @staticmethod
    def convolved(layer: nn.Conv1d, hidden: Tensor) -> Tensor:
        """Where a tap would reach past both ends of the window it meets zeros alone, so only the middle one counts."""
        if layer.dilation[0] >= hidden.shape[-1]:
            return functional.conv1d(hidden, layer.weight[..., 1:2], layer.bias)
        return layer(hidden)


def fit_encoder(windows: np.ndarray, seed: int, iterations: int = 600) -> nn.Module:
    """Learns from windows [n, time, channels]; gives the mean of the weights of all iterations."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    signals = torch.tensor(windows.transpose(0, 2, 1), dtype=torch.float32)
    net = ContextEncoder(signals.shape[1])
    averaged = torch.optim.swa_utils.AveragedModel(net)
    averaged.update_parameters(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    order = torch.randperm(len(signals))
    for step in range(iterations):
        chosen = torch.arange(step * BATCH, (step + 1) * BATCH) % len(signals)
        loss = contrast(*views(net, signals[order[chosen]], rng))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        averaged.update_parameters(net)
    return averaged.eval()


def views(net: nn.Module, signals: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What two overlapping crops of each window give where they overlap, [batch, OUTPUT, overlap] each."""
    length = signals.shape[-1]
    overlap = int(rng.integers(2, length + 1))
    left = int(rng.integers(length - overlap + 1))
    right = left + overlap
    outer_left, outer_right = int(rng.integers(left + 1)), int(rng.integers(right, length + 1))
    shift = torch.tensor(rng.integers(-outer_left, length - outer_right + 1, size=len(signals)))
    one = net(crop(signals, shift + outer_left, right - outer_left))
    other = net(crop(signals, shift + left, outer_right - left))
    return one[..., -overlap:], other[..., :overlap]


def crop(signals: Tensor, starts: Tensor, length: int) -> Tensor:
    places = (starts[:, None] + torch.arange(length))[:, None].expand(-1, signals.shape[1], -1)
    return signals.gather(2, places)


def contrast(one: Tensor, other: Tensor) -> Tensor:
    """Mean over time scales, each half as fine as the one before, of both contrasts (Yue et al. 2022, algorithm 1)."""
    losses = []
    while one.shape[-1] > 1:
        among_windows = paired(one.permute(2, 0, 1), other.permute(2, 0, 1))
        among_times = paired(one.transpose(1, 2), other.transpose(1, 2))
        losses.append(0.5 * among_windows + 0.5 * among_times)
        one, other = functional.max_pool1d(one, 2), functional.max_pool1d(other, 2)
    losses.append(0.5 * paired(one.permute(2, 0, 1), other.permute(2, 0, 1)))
    return torch.stack(losses).mean()


def paired(one: Tensor, other: Tensor) -> Tensor:
    """Cross entropy of finding, in sets [sets, members, OUTPUT], each member's other view among all others of both views."""
    both = torch.cat([one, other], dim=1)
    members = one.shape[1]
    likeness = both @ both.transpose(1, 2)
    likeness = likeness.masked_fill(torch.eye(2 * members, dtype=torch.bool), -torch.inf)
    wanted = torch.arange(2 * members).roll(members).repeat(len(both))
    return functional.cross_entropy(likeness.flatten(0, 1), wanted)


@torch.no_grad()
def encode(encoder: nn.Module, windows: np.ndarray) -> np.ndarray:
    """The greatest value over time of each output, [n, OUTPUT]."""
    signals = torch.tensor(windows.transpose(0, 2, 1), dtype=torch.float32)
    return torch.cat([encoder(part).amax(dim=-1) for part in signals.split(CHUNK)]).numpy().astype(np.float64)


WIDTH = 64
DEPTH = 10
"""Blocks before the last."""
DROPPED = 0.1
"""Of the outputs, while learning."""
SHOWN = 0.5
"""Of the rows, while learning."""
BATCH = 8
CHUNK = 512
"""Windows that are encoded at once."""
