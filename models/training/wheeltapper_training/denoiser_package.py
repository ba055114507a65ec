"""Makes the package folder `hydraulic-dae`: trains the net, judges it on held-out runs and writes everything down."""

from pathlib import Path
from string import Template

import numpy as np

from .evaluation import judge, table
from .hydraulic import split, train
from .package import FORMAT, VECTOR_TOLERANCE, export, write_manifest, write_vectors
from .recordings import ATTRIBUTION, CHANNELS, HEALTHY, LICENCE, Run
from .scaling import CALIBRATION_ROWS, CLIP, Scale

NAME = "hydraulic-dae"
VERSION = "1.0.0"
TRAINING_DATA = (
    "ZeMA hydraulic test rig, 60-s load cycles at 1 Hz: runs with the cooler at 20 % or 3 % efficiency and a sound valve"
)
CARD = Path(__file__).with_name("denoiser_card.md")
"""The model card, with places for what is known only after training."""
VECTOR_ROWS_BEYOND_WINDOW = 40


def make_denoiser(runs: list[Run], seed: int, folder: Path) -> None:
    """Fills `folder` and prints the table of figures."""
    learned, held_out = split(runs)
    net, floor = train(learned, seed)
    figures = table(judge(net, held_out, runs, floor))
    print(figures)

    command = f"python -m wheeltapper_training {NAME} --seed {seed}"
    export(net, len(CHANNELS), folder / "denoiser.onnx")
    write_vectors(net, vector_inputs(held_out, net.window, floor), folder / "vectors.json")
    card = Template(CARD.read_text(encoding="utf-8")).substitute(
        figures=figures, command=command, parameters=net.parameter_count, past=net.window - 1, attribution=ATTRIBUTION
    )
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")

    tables = {
        "": {
            "format": FORMAT,
            "name": NAME,
            "version": VERSION,
            "kind": "hydraulic-rig",
            "task": "denoise",
            "licence": LICENCE,
        },
        "training": {
            "data": TRAINING_DATA,
            "data_licence": LICENCE,
            "attribution": ATTRIBUTION,
            "command": command,
            "seed": seed,
            "parameters": net.parameter_count,
        },
        "contract": {
            "input": "x",
            "output": "y",
            "axes": ["batch", "channels", "time"],
            "dtype": "float32",
            "window": net.window,
            "causal": True,
            "cadence": "1s",
            "clip": CLIP,
        },
        "contract.channel": [
            {"name": name, "unit": unit, "floor": float(f"{least:.6g}")}
            for (name, unit), least in zip(CHANNELS.items(), floor, strict=True)
        ],
        "vectors": {"path": "vectors.json", "tolerance": VECTOR_TOLERANCE},
    }
    write_manifest(folder, tables, ["denoiser.onnx", "vectors.json", "MODEL_CARD.md"])


def vector_inputs(runs: list[Run], window: int, floor: np.ndarray) -> list[np.ndarray]:
    """Scaled inputs [channels, time] as a gateway sees them: a sound machine, a leak, and channels at the clip."""
    machine = next(run for run in runs if run.condition == HEALTHY and len(run.rows) > CALIBRATION_ROWS)
    leak = next(run for run in runs if run.condition.differs_in(HEALTHY) == ["pump"] and len(run.cycles) > 1)
    scale = Scale.calibrate(machine.rows[:CALIBRATION_ROWS], floor)
    time = window + VECTOR_ROWS_BEYOND_WINDOW
    sound = scale.apply(machine.rows[-time:])
    at_clip = sound.copy()
    at_clip[time // 2:, list(CHANNELS).index("TS4")] = CLIP
    at_clip[time // 3:, list(CHANNELS).index("VS1")] = -CLIP
    return [rows.T for rows in (sound, scale.apply(leak.rows[:time]), at_clip)]
