"""Makes the package folder of a generator: trains it on all runs and writes everything down."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from string import Template

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from .generator_family import TRAINERS, Generator
from .generator_windows import FULL_WEIGHT_CYCLES, LEVELS, UNITS, Windows, labels_of, windows_of
from .package import FORMAT, OPSET, VECTOR_DIGITS, VECTOR_TOLERANCE, Table, write_manifest
from .recordings import ATTRIBUTION, CHANNELS, CYCLE, LICENCE, Run, read_hydraulic

VERSION = "1.0.0"
TRAINING_DATA = "ZeMA hydraulic test rig, 60-s load cycles at 1 Hz: {runs} runs in all conditions of its four components"
CARD = Path(__file__).with_name("generator_card.md")
"""The model card, with places for what is known only after training."""
FIGURES = Path(__file__).with_name("generator_figures.json")
"""What `generator-figures` measured with the same recipe on held-out runs, by package."""
ABOUT = {
    "diffusion": ("A diffusion model", "1-D U-Net over the half-whitened residual, 120 components of 600"),
    "latent-diffusion": (
        "A diffusion model in an autoencoder's latent space",
        "three residual blocks of width 96 over a latent of 80; autoencoder of two small perceptrons beside linear paths",
    ),
    "vae": (
        "A conditional variational autoencoder, whose decoder then learned against a critic,",
        "perceptrons of width 96 beside linear paths, latent of 80",
    ),
    "gan": ("A generator trained against a critic,", "perceptron of width 128 beside a linear path, latent of 80"),
}
EXPORT_TOLERANCE = 1e-4
RESOLUTION = {"FS1": 1e-4, "FS2": 1e-4}
"""Of the recording; that of the other channels is a thousandth."""
LOWEST = {"CE": 0.0, "CP": 0.0, "SE": 0.0, "VS1": 0.0, "FS1": 0.0, "FS2": 0.0}
HIGHEST = {"CE": 100.0}
ROLES = {
    "denoiser": (["x", "noise_level", "condition"], ["prediction"]),
    "decoder": (["x", "condition", "noise"], ["series"]),
    "encoder": (["series", "condition"], ["mean", "log_variance"]),
    "continuation": (["previous", "noise"], ["next"]),
}
"""Inputs and outputs of each network, in the order of the manifest."""


def make_generator(name: str):
    """What fills a folder with the generator `name`."""

    def make(data: Path, seed: int, folder: Path) -> None:
        runs = read_hydraulic(data)
        windows = windows_of(runs)
        made = TRAINERS[name](windows, seed)
        networks = write_networks(folder, made, windows)
        (folder / "MODEL_CARD.md").write_text(card(name, made, runs, (seed, hashes(folder, networks))), encoding="utf-8")
        rest = {"network": networks, "vectors": {"path": "vectors.json", "tolerance": VECTOR_TOLERANCE}}
        files = [*(network["path"] for network in networks), "vectors.json", "MODEL_CARD.md"]
        write_manifest(folder, head(name, made, runs, seed) | rest, files)

    return make


def write_networks(folder: Path, made: Generator, windows: Windows) -> list[Table]:
    """Writes networks and vectors into `folder`, and gives the manifest's table of each network."""
    networks, vectors = [], {}
    for role, (inputs, outputs) in ROLES.items():
        if role not in made.networks:
            continue
        net = made.networks[role].eval()
        cases = [examples(made, windows, role, batch) for batch in (2, 1, 5)]
        outputs = outputs[:len(results(net, cases[0]))]
        path = f"{role}.onnx"
        export(net, cases, (inputs, outputs), folder / path)
        networks.append({"role": role, "path": path, "inputs": inputs, "output": outputs})
        vectors[role] = [
            case(net, [value[place:place + 1] for value in cases[2]], (inputs, outputs)) for place in range(VECTORS)
        ]
    (folder / "vectors.json").write_text(json.dumps(vectors).replace("}, {", "},\n{") + "\n", encoding="utf-8")
    return networks


def hashes(folder: Path, networks: list[Table]) -> str:
    """A line for each network's file, as `sha256sum` prints it."""
    paths = [network["path"] for network in networks]
    return "\n".join(f"    {hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}" for path in paths)


def card(name: str, made: Generator, runs: list[Run], recipe: tuple[int, str]) -> str:
    """`recipe` is the seed and the hashes that came of it."""
    about, network = ABOUT[made.family]
    seed, expected = recipe
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))[name]
    return Template(CARD.read_text(encoding="utf-8")).substitute(
        name=name,
        about=about,
        network=network,
        command=f"python -m wheeltapper_training {name} --seed {seed}",
        hashes=expected,
        parameters=made.parameter_count,
        runs=len(runs),
        attribution=ATTRIBUTION,
        figures=figures,
        sampling=f"DPM-Solver++(2M), {made.sampling.steps} steps, cosine schedule, guidance {made.sampling.guidance}"
        if made.sampling
        else "one pass",
    )


def head(name: str, made: Generator, runs: list[Run], seed: int) -> dict[str, Table | list[Table]]:
    generator = {"family": made.family, "cadence": "1s", "window": CYCLE, "latent": list(made.latent)}
    if made.sampling:
        generator |= {
            "prediction": "v",
            "schedule": "cosine",
            "sampler": made.sampling.sampler,
            "steps": made.sampling.steps,
            "guidance": made.sampling.guidance,
        }
    return {
        "": {
            "format": FORMAT,
            "name": name,
            "version": VERSION,
            "kind": "hydraulic-rig",
            "task": "generate",
            "licence": LICENCE,
        },
        "training": {
            "data": TRAINING_DATA.format(runs=len(runs)),
            "data_licence": LICENCE,
            "attribution": ATTRIBUTION,
            "command": f"python -m wheeltapper_training {name} --seed {seed}",
            "seed": seed,
            "parameters": made.parameter_count,
        },
        "generator": generator,
        "generator.label": [
            {"name": label, "unit": UNITS[label], "levels": list(levels)} for label, levels in LEVELS.items()
        ],
        "generator.channel": [channel(label, unit) for label, unit in CHANNELS.items()],
        "generator.condition": shares(runs),
    }


def channel(name: str, unit: str) -> Table:
    bounds = {key: table[name] for key, table in (("low", LOWEST), ("high", HIGHEST)) if name in table}
    return {"name": name, "unit": unit, "resolution": RESOLUTION.get(name, 1e-3)} | bounds


def shares(runs: list[Run]) -> list[Table]:
    """The conditions of the runs, each with its share of the windows as they are weighted in training."""
    counts = Counter()
    for run in runs:
        counts[tuple(labels_of(run))] += min(len(run.cycles), FULL_WEIGHT_CYCLES)
    ordered = sorted(counts.items(), reverse=True)
    exact = [count / counts.total() for _, count in ordered]
    rounded = [round(share, 8) for share in exact]
    rounded[-1] = round(rounded[-1] + 1 - sum(rounded), 8)
    return [{"levels": list(levels), "share": share} for (levels, _), share in zip(ordered, rounded, strict=True)]


def examples(made: Generator, windows: Windows, role: str, batch: int) -> list[Tensor]:
    """Inputs of a network, [batch, …] each, as they come up in use."""
    generator = torch.Generator().manual_seed(batch)
    places = torch.multinomial(torch.tensor(windows.weight), batch, generator=generator).numpy()
    x = torch.randn(batch, *made.latent, generator=generator)
    known = {
        "x": x,
        "previous": x,
        "noise_level": torch.rand(batch, 1, generator=generator),
        "condition": torch.tensor(windows.condition[places], dtype=torch.float32),
        "series": torch.tensor(windows.series[places], dtype=torch.float32),
        "noise": torch.randn(batch, len(CHANNELS), CYCLE, generator=generator),
    }
    if role == "continuation":
        known["noise"] = torch.randn(x.shape, generator=generator)
    return [known[name] for name in ROLES[role][0]]


def export(net: nn.Module, cases: list[list[Tensor]], names: tuple[list[str], list[str]], path: Path) -> None:
    """Writes `net` as ONNX with a symbolic batch, and fails unless onnxruntime gives what PyTorch gives."""
    inputs, outputs = names
    torch.onnx.export(
        net,
        tuple(cases[0]),
        path,
        input_names=inputs,
        output_names=outputs,
        dynamic_axes={name: {0: "N"} for name in [*inputs, *outputs]},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for values in cases:
        actual = session.run(outputs, {name: value.numpy() for name, value in zip(inputs, values, strict=True)})
        for name, one, other in zip(outputs, actual, results(net, values), strict=True):
            difference = float(np.abs(one - other.numpy()).max() / max(1.0, float(other.abs().max())))
            if difference > EXPORT_TOLERANCE:
                raise ValueError(f"{path.name}: {name} differs from PyTorch by {difference:.1e} of its largest value")


@torch.no_grad()
def results(net: nn.Module, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    answer = net(*inputs)
    return answer if isinstance(answer, tuple) else (answer,)


def case(net: nn.Module, inputs: list[Tensor], names: tuple[list[str], list[str]]) -> Table:
    """One case of `vectors.json`: flat inputs, as rounded in the file, and flat outputs."""
    rounded = [torch.tensor(flat(value), dtype=torch.float32).reshape(value.shape) for value in inputs]
    given, wanted = names
    return {
        "inputs": {name: flat(value) for name, value in zip(given, rounded, strict=True)},
        "outputs": {name: flat(value) for name, value in zip(wanted, results(net, rounded), strict=True)},
    }


def flat(value: Tensor) -> list[float]:
    return [float(f"{number:.{VECTOR_DIGITS}g}") for number in value.flatten().tolist()]


VECTORS = 3
