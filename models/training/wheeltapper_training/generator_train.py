"""Training loops of the generators. All of them draw windows by their weights, and hand back the moving average of the weights."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .generator_nets import RIGHT_ANGLE, Critic, Decoder, Encoder
from .generator_windows import LEVELS


@dataclass(frozen=True)
class Lessons:
    """What is learned: coordinates [windows, kept], conditions [windows, condition], shares [windows]."""

    coordinates: Tensor
    condition: Tensor
    weight: Tensor

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        index = torch.multinomial(self.weight, batch, replacement=True, generator=generator)
        return self.coordinates[index], self.condition[index]


@dataclass(frozen=True)
class Course:
    """How long and how fast to train."""

    steps: int
    rate: float = 2e-3
    batch: int = 128
    decay: float = 1e-2
    drop: float = 0.1
    """Share of the windows that do not tell a label, for each label by itself."""
    forget: float = 0.1
    """Share of the windows that tell no label at all: the null class."""


class Average:
    """Exponential moving average of a net's weights."""

    def __init__(self, net: nn.Module, decay: float = 0.998):
        self.net, self.decay, self.steps = copy.deepcopy(net), decay, 0

    def update(self, net: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for own, new in zip(self.net.parameters(), net.parameters(), strict=True):
                own.lerp_(new, 1 - decay)


def fit_denoiser(net: nn.Module, lessons: Lessons, course: Course, seed: int) -> nn.Module:
    """Learns v = cos θ · noise − sin θ · sample at noise levels drawn evenly, and gives the average net."""
    generator = torch.Generator().manual_seed(seed)
    optimiser, rate, average = _start([net], course) + (Average(net),)
    for _ in range(course.steps):
        sample, condition = lessons.draw(course.batch, generator)
        level = torch.rand(course.batch, 1, generator=generator)
        noise = torch.randn(sample.shape, generator=generator)
        cosine, sine = torch.cos(level * RIGHT_ANGLE), torch.sin(level * RIGHT_ANGLE)
        noised = net.lay(cosine * sample + sine * noise)
        told = net.take(net(noised, level, untold(condition, course, generator)))
        loss = functional.mse_loss(told, cosine * noise - sine * sample)
        _step(optimiser, loss)
        rate.step()
        average.update(net)
    return average.net.eval()


def untold(condition: Tensor, course: Course, generator: torch.Generator) -> Tensor:
    """Conditions of which some do not tell a label, and some none."""
    batch = len(condition)
    kept = torch.rand(batch, len(LEVELS), generator=generator) >= course.drop
    kept &= torch.rand(batch, 1, generator=generator) >= course.forget
    widths = torch.tensor([len(levels) for levels in LEVELS.values()])
    return condition * kept.repeat_interleave(widths, dim=1)


def fit_autoencoder(encoder: Encoder, decoder: Decoder, lessons: Lessons, course: Course, seed: int, weak: float = 1.0) -> tuple[Encoder, Decoder]:
    """A conditional variational autoencoder, z = μ + σ · noise; each coordinate's left-out deviation is learned.

    `weak` is the weight of the divergence from the prior.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = nn.Parameter(torch.zeros(lessons.coordinates.shape[1]))
    both = nn.ModuleList([encoder, decoder])
    optimiser, rate = _start([both, nn.ParameterList([spread])], course)
    average = Average(both)
    for step in range(course.steps):
        sample, condition = lessons.draw(course.batch, generator)
        told = untold(condition, course, generator)
        mean, log_variance = encoder(sample, told)
        latent = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)
        error = (sample - decoder(latent, told)) ** 2
        likelihood = (0.5 * error * (-2 * spread).exp() + spread).sum(dim=1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1)
        warm = weak * min(1.0, 2 * step / course.steps)
        _step(optimiser, (likelihood + warm * divergence).mean())
        rate.step()
        average.update(both)
    encoder, decoder = average.net.eval()
    return encoder, decoder


def fit_adversary(maker: Decoder, anchor: Encoder | None, lessons: Lessons, course: Course, seed: int) -> Decoder:
    """A decoder against a critic under the hinge loss; the critic sees coordinates of equal size.

    With an `anchor` the decoder must also go on giving each window from what that encoder makes of it.
    """
    generator = torch.Generator().manual_seed(seed)
    unit = 1 / (lessons.weight @ lessons.coordinates**2).sqrt()
    critic = Critic(lessons.coordinates.shape[1])
    average = Average(maker)
    making = torch.optim.Adam(maker.parameters(), lr=course.rate, betas=(0.0, 0.9))
    judging = torch.optim.Adam(critic.parameters(), lr=CRITIC_HASTE * course.rate, betas=(0.0, 0.9))
    rates = [torch.optim.lr_scheduler.LambdaLR(optimiser, _falling(course)) for optimiser in (making, judging)]

    def make() -> tuple[Tensor, Tensor]:
        _, condition = lessons.draw(course.batch, generator)
        noise = torch.randn(course.batch, maker.straight.in_features, generator=generator)
        return maker(noise, condition) * unit, condition

    for step in range(course.steps):
        sample, condition = lessons.draw(course.batch, generator)
        with torch.no_grad():
            made, wanted = make()
        loss = functional.relu(1 - critic(sample * unit, condition)).mean() + functional.relu(1 + critic(made, wanted)).mean()
        _step(judging, loss)
        if step % 2:
            made, wanted = make()
            loss = -critic(made, wanted).mean()
            if anchor is not None:
                error = (maker(_posterior(anchor, sample, condition, generator), condition) - sample) * unit
                loss = loss + ANCHORED * (error**2).mean()
            _step(making, loss)
            average.update(maker)
            for rate in rates:
                rate.step()
    return average.net.eval()


@torch.no_grad()
def _posterior(encoder: Encoder, sample: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
    mean, log_variance = encoder(sample, condition)
    return mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)


def _start(nets: list[nn.Module], course: Course):
    parameters = [parameter for net in nets for parameter in net.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=course.rate, weight_decay=course.decay)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / course.steps)))
    )
    return optimiser, rate


def _falling(course: Course) -> Callable[[int], float]:
    """From 1 along a cosine, near to nothing, in half as many steps."""
    return lambda step: 0.05 + 0.95 * 0.5 * (1 + math.cos(2 * math.pi * step / course.steps))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


CRITIC_HASTE = 4.0
ANCHORED = 0.3
