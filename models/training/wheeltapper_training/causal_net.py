"""A causal chain of dilated convolutions that can be streamed, one column a sample."""

from torch import Tensor, nn
from torch.nn import functional


class CausalBlock(nn.Module):
    """Adds a dilated convolution to its input [batch, width, time]; the result at t depends on the input up to t."""

    def __init__(self, width: int, kernel: int, dilation: int):
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.activation = nn.GELU()

    def forward(self, signal: Tensor) -> Tensor:
        padded = functional.pad(signal, (self.past, 0))
        return signal + self.activation(self.convolution(padded))


class CausalDenoiser(nn.Module):
    """Expected value of each channel at each step, from the present and the past `window - 1` steps.

    Input and output are [batch, channels, time]; zeros stand for the time before the first step. The residual path is
    linear from end to end, so a level that drifts beyond what was trained is still followed. After Bai, Kolter and
    Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks" (2018), section 3, with one
    convolution a block and no dropout.
    """

    def __init__(self, channels: int, width: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        self.lift = nn.Conv1d(channels, width, 1)
        self.blocks = nn.Sequential(*(CausalBlock(width, kernel, dilation) for dilation in dilations))
        self.read_out = nn.Conv1d(width, channels, 1)
        self.window = 1 + (kernel - 1) * sum(dilations)

    def forward(self, signal: Tensor) -> Tensor:
        return self.read_out(self.blocks(self.lift(signal)))

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())
