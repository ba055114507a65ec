"""A causal denoiser for a machine that repeats a cycle, and that knows what wear does to whole cycles."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .causal_net import CausalBlock


LARGEST_STEP = 40.0
"""Of a channel from one column to the next, in the common size; a load switch makes one of 20."""

LARGEST_WEAR = 4.0
"""Of a leading channel, in scaled units: beyond it the channels show something else than wear."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a `CycleDenoiser`; `period` in columns."""

    period: int
    phases: int
    width: int
    kernel: int
    dilations: tuple[int, ...]

    @property
    def memory(self) -> int:
        """Columns that the phase depends on, the newest included; one more for the step to the oldest."""
        return 2 + (self.kernel - 1) * sum(self.dilations)


class CycleDenoiser(nn.Module):
    """Expected value of each channel at each step, [batch, channels, time] in and out; causal, and a chain that streams.

    Two pieces look at the signal:
    - *phases*: how far each phase of the cycle is the present one. Dilated convolutions tell it from the steps from one
      column to the next, so that no level matters.
    - *wear*: a sum over the newest cycle of all channels, each weighted by the phase it was seen in. The weights come
      from `learn_wear`.

    A channel that *leads* for a wear is expected where it would be without that wear, every other one where it is.
    """

    def __init__(self, gain: Tensor, leads: list[int], shape: Shape):
        """`gain`, [channels], brings the channels to a common size; `leads` are the channels that tell of a wear each."""
        super().__init__()
        channels, wears = len(gain), len(leads)
        self.shape = shape
        self.window = shape.memory + shape.period - 1
        self.lift = nn.Conv1d(channels, shape.width, 1)
        self.blocks = nn.Sequential(*(CausalBlock(shape.width, shape.kernel, d) for d in shape.dilations))
        self.phase = nn.Conv1d(shape.width, shape.phases, 1)
        every = torch.eye(channels)
        self.register_buffer("step", torch.stack([-torch.diag(gain), torch.diag(gain)], dim=-1))
        self.register_buffer("leads", every[:, leads][..., None])
        self.register_buffer("copies", every.repeat(wears, 1)[..., None])
        self.register_buffer("sums", torch.eye(wears).repeat_interleave(channels, dim=1)[..., None])
        self.register_buffer("cycle", torch.eye(wears)[..., None].repeat(1, 1, shape.period))
        self.register_buffer("usual", torch.zeros(wears))
        self.register_buffer("weights", torch.zeros(wears * channels, shape.phases, 1))

    def forward(self, signal: Tensor) -> Tensor:
        weighted = functional.conv1d(self.phases(signal), self.weights) * functional.conv1d(signal, self.copies)
        weighted = _padded(functional.conv1d(weighted, self.sums), self.shape.period)
        wear = functional.conv1d(weighted, self.cycle, bias=-self.usual)
        return signal - functional.conv1d(wear.clamp(-LARGEST_WEAR, LARGEST_WEAR), self.leads)

    def phases(self, signal: Tensor) -> Tensor:
        """How far each phase is the present one, [batch, phases, time]."""
        step = functional.conv1d(_padded(signal, 2), self.step).clamp(-LARGEST_STEP, LARGEST_STEP)
        return self.phase(self.blocks(self.lift(step))).sigmoid()

    def learn_wear(self, weights: Tensor, usual: Tensor) -> None:
        """Takes the weights of each channel in each phase, [wears, phases, channels]; what they sum to over a cycle, less
        what is `usual`, [wears], is what the wear adds to its leading channel."""
        self.usual.copy_(usual)
        self.weights.copy_(weights.transpose(1, 2).reshape(self.weights.shape))

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters()) + self.weights.numel()


def _padded(signal: Tensor, kernel: int) -> Tensor:
    return functional.pad(signal, (kernel - 1, 0))
