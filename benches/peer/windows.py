"""Times networks that need their whole window on our engine `dense` and under onnxruntime in turn, one thread each.

    pip install torch onnx onnxruntime numpy
    python benches/peer/windows.py [ROUNDS]

It makes two networks with random weights: a convolutional autoencoder that squeezes the whole window, `[8, 64]`, and a
U-Net as a diffusion model steps through it, `[10, 60]`; and it takes the denoisers of our own generators. onnxruntime runs
1 and 128 windows a call; our engine goes through as many one after another.
"""

import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from torch import nn

REPOSITORY = Path(__file__).parent.parent.parent
MANY = 128
# As in `benches/windows.rs`.
SLICES, SLICE, TOGETHER = 2, 0.4, 8


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
            shapes = {"x": [network.channels, network.time]} | ({"step": []} if network.steps else {})
            for batch in (1, MANY):
                path = Path(folder) / f"{network.name}-{batch}.onnx"
                given = tuple(torch.randn([batch, *shape]) for shape in shapes.values())
                torch.onnx.export(
                    network, given, str(path), input_names=list(shapes), output_names=["y"], opset_version=17,
                    dynamo=False,
                )
                files[network.name, batch] = described(path, path, shapes, batch)
        for name in ("hydraulic-diffusion", "hydraulic-latent"):
            path = REPOSITORY / "models" / name / "denoiser.onnx"
            with open(path.with_name("manifest.toml"), "rb") as manifest:
                latent = tomllib.load(manifest)["generator"]["latent"]
            shapes = {"x": latent, "noise_level": [1], "condition": [14]}
            for batch in (1, MANY):
                files[name, batch] = described(path, Path(folder) / f"{name}-{batch}.onnx", shapes, batch)
        compare(files, rounds)


def described(path: Path, copy: Path, shapes: dict, batch: int) -> Path:
    """The file with what both are given beside it, and what onnxruntime makes of it."""
    if copy != path:
        copy.write_bytes(path.read_bytes())
    random = np.random.default_rng(7)
    given = {name: random.random([batch, *shape], dtype=np.float32) for name, shape in shapes.items()}
    runner = session(copy)
    inputs = [
        {"name": name, "shape": list(values.shape), "values": values.reshape(-1).tolist()} for name, values in given.items()
    ]
    output = runner.run(None, given)[0].reshape(-1).tolist()
    told = {"inputs": inputs, "name": runner.get_outputs()[0].name, "output": output}
    copy.with_suffix(".json").write_text(json.dumps(told))
    return copy


class Autoencoder(nn.Module):
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
            x = nn.functional.gelu(layer(x))
        x = self.widen(self.squeeze(x.reshape(-1, 512))).reshape(-1, 32, 16)
        x = nn.functional.gelu(self.up[0](x))
        return self.up[1](x)


class UNet(nn.Module):
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

        def run(block, x):
            shift = block["step"](embedded)[:, :, None]
            x = silu(block["norm"](block["first"](x))) + shift
            return silu(block["last"](block["second"](x)))

        def up(x):
            return nn.functional.interpolate(x, scale_factor=2, mode="nearest")

        wide = run(self.blocks[0], x)
        middle = run(self.blocks[1], self.down[0](wide))
        x = self.down[1](middle)
        for block in (self.blocks[2], *self.blocks[5:]):
            x = run(block, x)
        x = run(self.blocks[3], torch.cat([up(x), middle], 1))
        x = run(self.blocks[4], torch.cat([up(x), wide], 1))
        return self.out(x)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(files: dict, rounds: int) -> None:
    """Each file in turn by both, round after round, so that a busy moment hits both."""
    bench = built()
    theirs, ours = {key: [] for key in files}, {key: [] for key in files}
    for _ in range(rounds):
        for (name, batch), path in files.items():
            theirs[name, batch].append(of_onnxruntime(path) / batch)
            ours[name, batch].append(of_ours(bench, files[name, 1], batch) / batch)
    print(f"µs of processor time a window, the median of {rounds} rounds; onnxruntime {onnxruntime.__version__}; ratio: onnxruntime / ours")
    print(f"{'network':22}{'windows a call':>16}{'onnxruntime':>13}{'ours':>9}{'ratio':>8}")
    for name, batch in files:
        key = name, batch
        ratio = median(a / b for a, b in zip(theirs[key], ours[key]))
        print(f"{name:22}{batch:16}{median(theirs[key]):13.1f}{median(ours[key]):9.1f}{ratio:8.2f}")


def of_onnxruntime(path: Path) -> float:
    """µs of processor time a call, the best of some slices."""
    runner = session(path)
    binding = runner.io_binding()
    told = json.loads(path.with_suffix(".json").read_text())
    for given in told["inputs"]:
        values = np.array(given["values"], dtype=np.float32).reshape(given["shape"])
        binding.bind_ortvalue_input(given["name"], onnxruntime.OrtValue.ortvalue_from_numpy(values))
    binding.bind_output(told["name"])
    best = float("inf")
    for _ in range(SLICES):
        start, calls = time.thread_time(), 0
        while time.thread_time() - start < SLICE:
            for _ in range(TOGETHER):
                runner.run_with_iobinding(binding)
            calls += TOGETHER
        best = min(best, (time.thread_time() - start) / calls)
    return 1e6 * best


def of_ours(bench: str, path: Path, windows: int) -> float:
    told = subprocess.run([bench, str(path), str(windows)], check=True, stdout=subprocess.PIPE, text=True)
    return float(told.stdout.split()[-1])


def built() -> str:
    """The bench that runs our engine."""
    command = ["cargo", "bench", "--quiet", "--bench", "windows", "--no-run", "--message-format", "json"]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in told.stdout.splitlines()]
    return next(it["executable"] for it in messages if it.get("target", {}).get("kind") == ["bench"])


if __name__ == "__main__":
    main()
