"""Times window-only networks under tract and under onnxruntime in turn, one thread each, on the same weights.

    pip install torch onnx onnxruntime numpy
    python benches/peer/windows.py [ROUNDS]

It makes the networks with random weights: a convolutional autoencoder that squeezes the whole window, `[8, 64]`, and a
U-Net as a diffusion model steps through it, `[10, 60]`. Each is written as anybody would export it, batch first, for 1 and
128 windows a call; and with the batch in the last axis, `[1, channels, time, batch]`, whose rows are then long enough for
kernels that need no copy of the input (`im2col`). Weights and results are the same in both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from torch import nn

REPOSITORY = Path(__file__).parent.parent.parent
MANY = 128
# As in `benches/windows.rs`.
SLICES, SLICE, TOGETHER = 4, 0.4, 8


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.manual_seed(7)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for network in (Autoencoder(), UNet()):
            network.eval()
            for values in network.modules():
                if isinstance(values, nn.BatchNorm1d):
                    values.running_mean.uniform_(-0.2, 0.2)
                    values.running_var.uniform_(0.5, 1.5)
            parameters = sum(values.numel() for values in network.parameters())
            print(f"{network.name}: {parameters:,} parameters")
            for batch in (1, MANY):
                files[network.name, batch, "batch first"] = export(network, False, batch, Path(folder))
            files[network.name, MANY, "batch last"] = export(network, True, MANY, Path(folder))
        compare(files, rounds)


class Squeezed(nn.Module):
    """A network that takes `[batch, channels, time]`, or the same with the batch last."""

    def conv(self, layer, x):
        """Conv1d, or the same weights as a Conv2d of one column."""
        if x.dim() == 3:
            return layer(x)
        call = nn.functional.conv_transpose2d if isinstance(layer, nn.ConvTranspose1d) else nn.functional.conv2d
        more = {"output_padding": (layer.output_padding[0], 0)} if isinstance(layer, nn.ConvTranspose1d) else {}
        return call(
            x, layer.weight[..., None], layer.bias, stride=(layer.stride[0], 1), padding=(layer.padding[0], 0), **more
        )


class Autoencoder(Squeezed):
    name, channels, time, steps = "autoencoder", 8, 64, False

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv1d(8, 16, 5, 2, 2), nn.Conv1d(16, 32, 5, 2, 2), nn.Conv1d(32, 32, 5, 1, 2)])
        self.squeeze, self.widen = nn.Linear(512, 8), nn.Linear(8, 512)
        self.up = nn.ModuleList(
            [nn.ConvTranspose1d(32, 16, 5, 2, 2, output_padding=1), nn.ConvTranspose1d(16, 8, 5, 2, 2, output_padding=1)]
        )

    def forward(self, x):
        for layer in self.down:
            x = nn.functional.gelu(self.conv(layer, x))
        if x.dim() == 3:
            x = self.widen(self.squeeze(x.reshape(-1, 512))).reshape(-1, 32, 16)
        else:
            x = self.squeeze.weight @ x.reshape(512, -1) + self.squeeze.bias[:, None]
            x = (self.widen.weight @ x + self.widen.bias[:, None]).reshape(1, 32, 16, -1)
        x = nn.functional.gelu(self.conv(self.up[0], x))
        return self.conv(self.up[1], x)


class UNet(Squeezed):
    name, channels, time, steps = "U-Net", 10, 60, True

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(1, 32)
        block = lambda inputs, outputs: nn.ModuleDict({  # noqa: E731
            "first": nn.Conv1d(inputs, outputs, 3, 1, 1), "norm": nn.BatchNorm1d(outputs),
            "step": nn.Linear(32, outputs),
            "second": nn.Conv1d(outputs, outputs, 3, 1, 1), "last": nn.BatchNorm1d(outputs),
        })
        self.blocks = nn.ModuleList([block(10, 40), block(40, 80), block(80, 80), block(160, 80), block(120, 40), block(80, 80), block(80, 80)])
        self.down = nn.ModuleList([nn.Conv1d(40, 40, 3, 2, 1), nn.Conv1d(80, 80, 3, 2, 1)])
        self.out = nn.Conv1d(40, 10, 1)

    def forward(self, x, step):
        silu = nn.functional.silu
        embedded = silu(self.embed(step[:, None]))
        last = x.dim() == 4

        def run(block, x):
            shift = block["step"](embedded)
            shift = shift.t()[None, :, None, :] if last else shift[:, :, None]
            x = silu(self.norm(block["norm"], self.conv(block["first"], x))) + shift
            return silu(self.norm(block["last"], self.conv(block["second"], x)))

        def up(x):
            return nn.functional.interpolate(x, scale_factor=(2, 1) if last else 2, mode="nearest")

        wide = run(self.blocks[0], x)
        middle = run(self.blocks[1], self.conv(self.down[0], wide))
        x = self.conv(self.down[1], middle)
        for block in (self.blocks[2], *self.blocks[5:]):
            x = run(block, x)
        x = run(self.blocks[3], torch.cat([up(x), middle], 1))
        x = run(self.blocks[4], torch.cat([up(x), wide], 1))
        return self.conv(self.out, x)

    @staticmethod
    def norm(layer, x):
        return nn.functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def export(network, last: bool, batch: int, folder: Path) -> Path:
    path = folder / f"{network.name}-{batch}{'-last' if last else ''}.onnx"
    shape = [1, network.channels, network.time, batch] if last else [batch, network.channels, network.time]
    inputs = [torch.randn(shape)] + ([torch.rand(batch)] if network.steps else [])
    names = ["x", "step"][: len(inputs)]
    torch.onnx.export(
        network, tuple(inputs), str(path), input_names=names, output_names=["y"], opset_version=17, dynamo=False
    )
    with torch.no_grad():
        expected = network(*inputs).numpy()
    given = {name: values.numpy() for name, values in zip(names, inputs)}
    found = session(path).run(None, given)[0]
    assert np.abs(found - expected).max() < 1e-4, path
    # What ours is to reproduce, too.
    spelled = {name: values.reshape(-1).tolist() for name, values in given.items()}
    path.with_suffix(".json").write_text(json.dumps({"inputs": spelled, "output": expected.reshape(-1).tolist()}))
    return path


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(files: dict, rounds: int) -> None:
    """Each file in turn by both, round after round, so that a busy moment hits both."""
    theirs, ours = {key: [] for key in files}, {key: [] for key in files}
    for _ in range(rounds):
        for key, path in files.items():
            theirs[key].append(of_onnxruntime(path) / key[1])
            ours[key].append(of_tract(path) / key[1])
    print(f"µs of processor time a window, the median of {rounds} rounds; onnxruntime {onnxruntime.__version__}; ratio: its ordinary file / ours")
    print(f"{'network':14}{'windows a call':>16}{'form':>14}{'onnxruntime':>13}{'ours':>9}{'ratio':>8}")
    for (name, batch, form), path in files.items():
        key, ordinary = (name, batch, form), (name, batch, "batch first")
        ratio = median(a / b for a, b in zip(theirs[ordinary], ours[key]))
        print(f"{name:14}{batch:16}{form:>14}{median(theirs[key]):13.1f}{median(ours[key]):9.1f}{ratio:8.2f}")


def of_onnxruntime(path: Path) -> float:
    """µs of processor time a call, the best of some slices."""
    runner = session(path)
    binding = runner.io_binding()
    spelled = json.loads(path.with_suffix(".json").read_text())
    for described in runner.get_inputs():
        values = np.array(spelled["inputs"][described.name], dtype=np.float32).reshape(described.shape)
        binding.bind_ortvalue_input(described.name, onnxruntime.OrtValue.ortvalue_from_numpy(values))
    binding.bind_output("y")
    best = float("inf")
    for _ in range(SLICES):
        start, calls = time.thread_time(), 0
        while time.thread_time() - start < SLICE:
            for _ in range(TOGETHER):
                runner.run_with_iobinding(binding)
            calls += TOGETHER
        best = min(best, (time.thread_time() - start) / calls)
    return 1e6 * best


def of_tract(path: Path) -> float:
    command = ["cargo", "bench", "--quiet", "--bench", "windows", "--", str(path)]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True, env=os.environ)
    return float(told.stdout.split()[-1])


if __name__ == "__main__":
    main()
