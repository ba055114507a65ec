"""How well a small recurrent network tells real windows from synthetic ones."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .contenders import Pair
from .recurrent import Readers, adam, as_tensor, draw_batch

LEARNED = 0.8
"""Of either set, what the network learns from; the rest judges."""


@dataclass(frozen=True)
class Judge:
    """How keen a network is; by default half a unit a channel, as published."""

    hidden: int | None = None
    iterations: int = 2000


def discriminative(pairs: list[Pair], seed: int, judge: Judge = Judge()) -> list[float]:
    """For each pair, |accuracy − 0.5| of a network of its own on windows [n, time, channels] that were set aside at random
    (Yoon et al. 2019, section 5)."""
    torch.manual_seed(seed)
    channels = pairs[0].real.shape[-1]
    net = Readers(len(pairs), channels, judge.hidden or channels // 2)
    optimiser = adam(net)
    learned_real, judged_real = divided([as_tensor(pair.real) for pair in pairs])
    learned_synthetic, judged_synthetic = divided([as_tensor(pair.synthetic) for pair in pairs])
    for _ in range(judge.iterations):
        shown = torch.cat([draw_batch(learned_real), draw_batch(learned_synthetic)], dim=1)
        real, synthetic = net(shown)[..., -1].chunk(2, dim=1)
        loss = (functional.softplus(-real) + functional.softplus(synthetic)).mean(dim=1).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    judging = zip(net.apart(), judged_real, judged_synthetic, strict=True)
    return [abs(accuracy(net, network, real, synthetic) - 0.5) for network, real, synthetic in judging]


@torch.no_grad()
def accuracy(net: Readers, network: slice, real: Tensor, synthetic: Tensor) -> float:
    right = torch.cat([net(real[None], network)[0, :, -1] > 0, net(synthetic[None], network)[0, :, -1] <= 0])
    return float(right.double().mean())


def divided(sets: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What is learned from and what judges, of each set."""
    shuffled = [windows[torch.randperm(len(windows))] for windows in sets]
    bounds = [int(LEARNED * len(windows)) for windows in sets]
    learned = [windows[:bound] for windows, bound in zip(shuffled, bounds, strict=True)]
    return learned, [windows[bound:] for windows, bound in zip(shuffled, bounds, strict=True)]
