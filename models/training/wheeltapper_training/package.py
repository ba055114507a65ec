"""Writes a package folder: the network as ONNX, vectors to check it with, and a manifest with checksums."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator

from .scaling import CLIP

FORMAT = 1
OPSET = 17
EXPORT_TOLERANCE = 1e-5
VECTOR_TOLERANCE = 1e-4
VECTOR_DIGITS = 8

class Denoiser(Protocol):
    """A net with input and output [batch, channels, time]; the newest output column depends on `window` input columns."""

    window: int
    parameter_count: int

    def __call__(self, signal: torch.Tensor) -> torch.Tensor: ...


Table = dict[str, object]
"""One TOML table: its values are strings, numbers, booleans or lists of strings."""


@dataclass(frozen=True)
class Identity:
    """What a package says of itself besides its network."""

    name: str
    version: str
    kind: str
    licence: str
    data: str
    data_licence: str
    attribution: str
    command: str
    seed: int
    cadence: str
    clip: float = CLIP


def write_denoiser(folder: Path, identity: Identity, net: Denoiser, channels: list[Table], inputs: list[np.ndarray]) -> None:
    """Fills `folder`, in which MODEL_CARD.md lies already: network, vectors from `inputs` [channels, time], manifest."""
    export(net, len(channels), folder / "denoiser.onnx")
    write_vectors(net, inputs, folder / "vectors.json")
    tables = {
        "": {
            "format": FORMAT,
            "name": identity.name,
            "version": identity.version,
            "kind": identity.kind,
            "task": "denoise",
            "licence": identity.licence,
        },
        "training": {
            "data": identity.data,
            "data_licence": identity.data_licence,
            "attribution": identity.attribution,
            "command": identity.command,
            "seed": identity.seed,
            "parameters": net.parameter_count,
        },
        "contract": {
            "input": "x",
            "output": "y",
            "axes": ["batch", "channels", "time"],
            "dtype": "float32",
            "window": net.window,
            "causal": True,
            "bridges_gaps": True,
            "cadence": identity.cadence,
            "clip": identity.clip,
        },
        "contract.channel": channels,
        "vectors": {"path": "vectors.json", "tolerance": VECTOR_TOLERANCE},
    }
    write_manifest(folder, tables, ["denoiser.onnx", "vectors.json", "MODEL_CARD.md"])


def export(net: Denoiser, channels: int, path: Path) -> None:
    """Writes `net` as ONNX with input `x` and output `y` [N, channels, T], N and T symbolic, and checks the file."""
    torch.onnx.export(
        net,
        (torch.zeros(2, channels, net.window),),
        path,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "N", 2: "T"}, "y": {0: "N", 2: "T"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(path)
    fold_paddings(model.graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    compare_with_runtime(net, channels, path)


def fold_paddings(graph: onnx.GraphProto) -> None:
    """Replaces the nodes that compute the amounts of a `Pad` by the constants they amount to.

    The exporter writes a dozen nodes for each; a reader of the file should see `Pad` and `Conv` and nothing else.
    """
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        amounts = pad.input[1]
        wanted, helpers = {amounts}, []
        for node in reversed(graph.node):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                helpers.insert(0, node)
        value = onnx.ValueInfoProto(name=amounts)
        value.type.tensor_type.elem_type = onnx.TensorProto.INT64
        constants = onnx.helper.make_graph(helpers, "amounts", [], [value])
        (folded,) = ReferenceEvaluator(constants, opsets={"": OPSET}).run(None, {})
        graph.initializer.append(onnx.numpy_helper.from_array(folded, amounts))
        for node in helpers:
            graph.node.remove(node)


def compare_with_runtime(net: Denoiser, channels: int, path: Path) -> None:
    """Fails unless onnxruntime gives what PyTorch gives, for several batch sizes and lengths.

    The tolerance is a share of the largest output, which a channel at the clip takes beyond 12.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for batch, time in ((1, net.window), (1, 1), (3, net.window + 40), (16, 2 * net.window), (1, 1000)):
        x = 3 * torch.randn(batch, channels, time, generator=generator)
        (actual,) = session.run(["y"], {"x": x.numpy()})
        reference = expected(net, x.numpy())
        difference = float(np.abs(actual - reference).max() / np.abs(reference).max())
        if difference > EXPORT_TOLERANCE:
            raise ValueError(f"{path.name} differs from PyTorch by {difference:.1e} at {batch} x {time}")


def expected(net: Denoiser, x: np.ndarray) -> np.ndarray:
    """Output of the net for x, both [batch, channels, time]."""
    with torch.no_grad():
        return net(torch.tensor(x, dtype=torch.float32)).numpy()


def write_vectors(net: Denoiser, inputs: list[np.ndarray], path: Path) -> None:
    """Writes inputs [channels, time] and the outputs for them, one row of the file a channel."""
    cases = []
    for rows in inputs:
        x = np.vectorize(_rounded)(rows)
        cases.append({"input": x.tolist(), "output": np.vectorize(_rounded)(expected(net, x[None])[0]).tolist()})
    text = json.dumps({"cases": cases})
    path.write_text(text.replace("], [", "],\n[") + "\n", encoding="utf-8")


def write_manifest(folder: Path, tables: dict[str, Table | list[Table]], files: list[str]) -> None:
    """Writes `manifest.toml`: the tables in order, the one named "" on top, then size and checksum of each file."""
    sealed = []
    for name in files:
        content = (folder / name).read_bytes()
        sealed.append({"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    blocks = []
    for name, table in (tables | {"file": sealed}).items():
        if isinstance(table, list):
            blocks += [_block(f"[[{name}]]", row) for row in table]
        else:
            blocks.append(_block(f"[{name}]" if name else "", table))
    (folder / "manifest.toml").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _block(heading: str, table: Table) -> str:
    entries = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join([heading, *entries] if heading else entries)


def _rounded(value: float) -> float:
    return float(f"{value:.{VECTOR_DIGITS}g}")
