"""Makes the package folder `hydraulic-dae`: trains the net and writes everything down."""

from pathlib import Path
from string import Template

import numpy as np

from .hydraulic import WEARS, Trained, every_second, train
from .package import Identity, write_denoiser
from .recordings import ATTRIBUTION, CHANNELS, HEALTHY, LICENCE, Run, read_hydraulic
from .scaling import CALIBRATION_ROWS, Scale

NAME = "hydraulic-dae"
VERSION = "2.0.0"
TRAINING_DATA = "ZeMA hydraulic test rig, 60-s load cycles at 1 Hz: {runs} runs in all conditions of its four components"
CARD = Path(__file__).with_name("denoiser_card.md")
"""The model card, with places for what is known only after training."""
LARGEST = 4.0
"""Of a scaled value; the rig reaches three, and more would cost the sums over a cycle their last digits."""
VECTOR_ROWS_BEYOND_WINDOW = 40


def make_denoiser(data: Path, seed: int, folder: Path) -> None:
    """Fills `folder` with a net that has seen all runs."""
    runs = read_hydraulic(data)
    write_package(train(runs, seed), runs, f"python -m wheeltapper_training {NAME} --seed {seed}", seed, folder)


def make_half_denoiser(data: Path, seed: int, folder: Path) -> None:
    """Fills `folder` with a net that has seen every second run, so that the others can judge it."""
    learned = every_second(read_hydraulic(data))
    write_package(train(learned, seed), learned, f"python -m wheeltapper_training {NAME}-half --seed {seed}", seed, folder)


def write_package(trained: Trained, runs: list[Run], command: str, seed: int, folder: Path) -> None:
    net = trained.net
    card = Template(CARD.read_text(encoding="utf-8")).substitute(
        command=command,
        parameters=net.parameter_count,
        past=net.window - 1,
        memory=net.shape.memory,
        runs=len(runs),
        attribution=ATTRIBUTION,
        leads=", ".join(f"{wear.leads} of the {wear.component}" for wear in WEARS),
    )
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    identity = Identity(
        name=NAME,
        version=VERSION,
        kind="hydraulic-rig",
        licence=LICENCE,
        data=TRAINING_DATA.format(runs=len(runs)),
        data_licence=LICENCE,
        attribution=ATTRIBUTION,
        command=command,
        seed=seed,
        cadence="1s",
        clip=LARGEST,
    )
    channels = [
        {"name": name, "unit": unit, "floor": float(f"{floor:.6g}"), "drift": float(f"{drift:.6g}")}
        for (name, unit), floor, drift in zip(CHANNELS.items(), trained.floor, trained.drift, strict=True)
    ]
    write_denoiser(folder, identity, net, channels, vector_inputs(runs, trained))


def vector_inputs(runs: list[Run], trained: Trained) -> list[np.ndarray]:
    """Scaled inputs [channels, time] as a gateway sees them: a sound pump, a leak, and channels at the clip."""
    long = [run for run in runs if len(run.rows) > CALIBRATION_ROWS]
    machine = next(run for run in long if run.condition.pump == HEALTHY.pump)
    leak = next(run for run in long if run.condition.pump != HEALTHY.pump)
    scale = Scale.calibrate(machine.rows[:CALIBRATION_ROWS], trained.floor)
    time = trained.net.window + VECTOR_ROWS_BEYOND_WINDOW
    sound = scale.apply(machine.rows[-time:])
    at_clip = sound.copy()
    at_clip[time // 2:, list(CHANNELS).index("TS4")] = LARGEST
    at_clip[time // 3:, list(CHANNELS).index("VS1")] = -LARGEST
    return [rows.T for rows in (sound, scale.apply(leak.rows[:time]), at_clip)]
