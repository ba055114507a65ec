"""How well a small recurrent network that has seen synthetic windows only predicts real ones."""

import torch
from torch import Tensor

from .contenders import Pair
from .recurrent import Readers, adam, as_tensor, draw_batch

ITERATIONS = 5000


def predictive(pairs: list[Pair], seed: int, iterations: int = ITERATIONS) -> list[float]:
    """For each pair, the mean absolute error of the last channel, a step ahead, that a network of its own expects from all
    other channels (Yoon et al. 2019, section 5).

    Windows are [n, time, channels], of values from 0 to 1.
    """
    torch.manual_seed(seed)
    channels = pairs[0].real.shape[-1]
    net = Readers(len(pairs), channels - 1, channels // 2)
    optimiser = adam(net)
    learned = [as_tensor(pair.synthetic) for pair in pairs]
    for _ in range(iterations):
        loss = errors(net, draw_batch(learned)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        judging = zip(net.apart(), pairs, strict=True)
        return [float(errors(net, as_tensor(pair.real)[None], network)) for network, pair in judging]


def errors(net: Readers, windows: Tensor, networks: slice = slice(None)) -> Tensor:
    """[networks], each on its own of `windows` [networks, n, time, channels]."""
    expected = net(windows[:, :, :-1, :-1], networks).sigmoid()
    return (expected - windows[:, :, 1:, -1]).abs().mean(dim=(1, 2))
