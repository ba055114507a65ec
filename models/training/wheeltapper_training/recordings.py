"""Reads the recordings of the hydraulic rig.

The rig repeats a load cycle of 60 s, recorded here at 1 Hz. A *run* is a stretch of cycles during which the
condition of its four components stays the same.
"""

import csv
import gzip
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

CHANNELS = {
    "CE": "%",
    "CP": "kW",
    "SE": "%",
    "VS1": "mm/s",
    "TS1": "°C",
    "TS2": "°C",
    "TS3": "°C",
    "TS4": "°C",
    "FS1": "l/min",
    "FS2": "l/min",
}
"""Channel names in the order of the channel axis, with their units."""

LICENCE = "CC-BY-4.0"
ATTRIBUTION = "ZeMA gGmbH; N. Helwig, E. Pignanelli, A. Schuetze, 2015 (UCI data set 447)"

COMPONENTS = ("cooler", "valve", "pump", "accumulator")
CYCLE = 60
"""Rows of one load cycle."""
LEAST_EFFICIENCY = 45.0
"""Mean SE, in %, of a cycle that runs its course; they reach 54 at least, broken ones 28 to 37."""


@dataclass(frozen=True)
class Condition:
    """State of the four components, in the units of the data set (UCI 447)."""

    cooler: int
    valve: int
    pump: int
    accumulator: int

    def differs_in(self, other: "Condition") -> list[str]:
        """Names of the components whose state is not the same in both."""
        return [name for name in COMPONENTS if getattr(self, name) != getattr(other, name)]


HEALTHY = Condition(cooler=100, valve=100, pump=0, accumulator=130)


@dataclass(frozen=True)
class Run:
    """Consecutive load cycles under one condition; `rows` is [time, channels], starting at second 0."""

    number: int
    condition: Condition
    rows: np.ndarray

    @property
    def cycles(self) -> np.ndarray:
        """The rows as [cycles, seconds, channels]."""
        return self.rows.reshape(-1, CYCLE, len(CHANNELS))

    @property
    def stalled(self) -> np.ndarray:
        """Which cycles broke down, [cycles]: with its cooler near failure the rig cannot hold its load at times."""
        return self.cycles[..., list(CHANNELS).index("SE")].mean(axis=1) < LEAST_EFFICIENCY


def read_hydraulic(data: Path) -> list[Run]:
    """All runs of `hydraulic/dev.csv.gz` under the folder `data`, in the order of recording."""
    with gzip.open(data / "hydraulic" / "dev.csv.gz", "rt", newline="") as file:
        records = list(csv.DictReader(file))
    runs = []
    for number, group in groupby(records, key=lambda record: int(record["run"])):
        members = list(group)
        rows = np.array([[float(record[name]) for name in CHANNELS] for record in members])
        if len(rows) % CYCLE:
            raise ValueError(f"run {number} has {len(rows)} rows, not a whole number of {CYCLE}-s cycles")
        condition = Condition(*(int(float(members[0][name])) for name in COMPONENTS))
        runs.append(Run(number, condition, rows))
    return runs
