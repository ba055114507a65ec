"""A small diffusion model of flattened windows: v-prediction, cosine schedule, averaged weights."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """How large the network is and how it is trained."""

    width: int = 256
    blocks: int = 3
    steps: int = 8000
    batch: int = 256
    peak_rate: float = 2e-3
    average: float = 0.998
    """Of the averaged weights, what a step leaves."""


class Denoiser(nn.Module):
    """Expected v = αε − σx of noisy coordinates [batch, components] at times [batch, 1].

    For components that are normal with the given deviations, the expected v is known in closed form; the network adds
    what the data have beyond that, in units of what is then still unknown.
    """

    def __init__(self, deviation: Tensor, recipe: Recipe):
        super().__init__()
        components, width = len(deviation), recipe.width
        self.register_buffer("variance", deviation.square())
        self.lift = nn.Linear(components, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(recipe.blocks))
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Linear(width, components)
        nn.init.zeros_(self.drop.weight)
        nn.init.zeros_(self.drop.bias)

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        signal, noise = levels(time)
        total = signal.square() * self.variance + noise.square()
        normal = signal * noise * (1.0 - self.variance) / total * noisy
        hidden, told = self.lift(noisy / total.sqrt()), self.time(waves(time))
        for block in self.blocks:
            hidden = block(hidden, told)
        return normal + (self.variance / total).sqrt() * self.drop(self.norm(hidden))

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


class Block(nn.Module):
    """A residual step [batch, width] that knows the time."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.rise = nn.Linear(width, 2 * width)
        self.told = nn.Linear(width, 4 * width)
        self.fall = nn.Linear(2 * width, width)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        gain, shift = self.told(told).chunk(2, dim=-1)
        return hidden + self.fall(nn.functional.silu(self.rise(self.norm(hidden)) * (1.0 + gain) + shift))


def train(coordinates: np.ndarray, deviation: np.ndarray, recipe: Recipe, seed: int) -> Denoiser:
    """Learns coordinates [n, components] of the given deviations [components]; gives the averaged network."""
    torch.manual_seed(seed)
    clean = torch.tensor(coordinates, dtype=torch.float32)
    net = Denoiser(torch.tensor(deviation, dtype=torch.float32), recipe)
    averaged = copy.deepcopy(net).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.peak_rate, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak_rate, total_steps=recipe.steps, pct_start=0.05)
    for step in range(recipe.steps):
        drawn = clean[torch.randint(len(clean), (recipe.batch,))]
        time = (torch.rand(1) + torch.arange(recipe.batch)[:, None] / recipe.batch) % 1.0
        signal, noise = levels(time)
        white = torch.randn_like(drawn)
        error = net(signal * drawn + noise * white, time) - (signal * white - noise * drawn)
        loss = error.square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        rate.step()
        kept = min(recipe.average, (step + 1) / (step + 10))
        for slow, fast in zip(averaged.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - kept)
    return averaged.eval()


@torch.no_grad()
def sample(net: Denoiser, count: int, steps: int, seed: int) -> np.ndarray:
    """`count` draws of coordinates [count, components] by DPM-Solver++(2M) (Lu et al. 2022, algorithm 2)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, len(net.variance), generator=generator)
    return torch.cat([solve(net, noisy, steps) for noisy in drawn.split(2048)]).numpy().astype(np.float64)


def solve(net: Denoiser, noisy: Tensor, steps: int) -> Tensor:
    """Takes noise [batch, components] to data."""
    times = even_times(steps)
    signals, noises = levels(times)
    snr = (signals / noises).log()
    before = None
    for step in range(steps):
        clean = signals[step] * noisy - noises[step] * net(noisy, times[step].expand(len(noisy), 1))
        ahead = snr[step + 1] - snr[step]
        aim = clean
        if before is not None:
            aim = clean + (clean - before) * ahead / (2.0 * (snr[step] - snr[step - 1]))
        noisy = noises[step + 1] / noises[step] * noisy - signals[step + 1] * torch.expm1(-ahead) * aim
        before = clean
    return signals[-1] * noisy - noises[-1] * net(noisy, times[-1].expand(len(noisy), 1))


def even_times(steps: int) -> Tensor:
    """Times from 1 to 0 [steps + 1], evenly spread over log α/σ."""
    furthest = math.log(math.tan(0.5 * math.pi * LATEST))
    angle = torch.linspace(furthest, -furthest, steps + 1, dtype=torch.float64).exp().atan()
    return ((angle / (0.5 * math.pi) - EARLIEST) / (LATEST - EARLIEST)).float()


def levels(time: Tensor) -> tuple[Tensor, Tensor]:
    """Shares α of the signal and σ of the noise at times 0..1, cosine schedule."""
    angle = 0.5 * math.pi * (EARLIEST + (LATEST - EARLIEST) * time)
    return angle.cos(), angle.sin()


def waves(time: Tensor) -> Tensor:
    """Times [batch, 1] as sines and cosines [batch, 2 · frequencies]."""
    angle = time * torch.exp(torch.linspace(0.0, math.log(200.0), FREQUENCIES))
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


FREQUENCIES = 32
EARLIEST, LATEST = 0.002, 0.998
"""Of the schedule's quarter turn, what is learned."""
