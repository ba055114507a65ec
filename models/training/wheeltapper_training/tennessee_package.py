"""Makes the package folder `tennessee-eastman-dae` and its kind, by the recipe for any machine."""

from pathlib import Path

from .own_package import Order, make_own
from .own_recording import Stretch, Wishes, read_machine

KIND = "tennessee-eastman"
CADENCE = 180.0
"""In seconds."""
LEARNED_OF_TEST = 480
"""Rows of the sound test file that are learned, together with the sound training file; the rest judges."""


def make_tennessee(data: Path, seed: int, folder: Path) -> None:
    """Fills `folder`, and the kind beside it: `../../firmware-config/kinds`."""
    sound = data / "tep"
    machine = read_machine([sound / "d00.csv.gz", sound / "d00_te.csv.gz"], Wishes(cadence=CADENCE))
    training, test = machine.stretches
    machine.stretches[1] = Stretch(test.source, test.rows[:LEARNED_OF_TEST])
    order = Order(
        kind=KIND,
        kinds=folder.parent.parent / "firmware-config" / "kinds",
        models=folder.parent,
        command=f"python -m wheeltapper_training tennessee-eastman-dae --seed {seed}",
        seed=seed,
        description="The Tennessee Eastman process: 41 measurements and 11 manipulated variables",
        licence="NCSA",
        attribution="Copyright 1998-2002 The Board of Trustees of the University of Illinois; notice in MODEL_CARD.md",
        card=Path(__file__).with_name("tennessee_card.md"),
    )
    make_own(machine, order)
