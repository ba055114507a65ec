"""ETTh1 as the published comparison cuts and scales it."""

import csv
from pathlib import Path

import numpy as np

LENGTH = 24
"""Rows of a window."""


class DataError(Exception):
    """A file that is not the one that the comparison is about."""


def read_rows(path: Path) -> np.ndarray:
    """ETTh1 as [time, channels], an hour a row; each channel scaled to 0..1 by the least and greatest of all rows."""
    try:
        with path.open(newline="") as file:
            header, *lines = csv.reader(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; give the folder that holds etth1/ETTh1.csv with --data") from error
    if header[1:] != CHANNELS or len(lines) != ROWS:
        raise DataError(f"{path}: {len(lines)} rows of {header}; expected {ROWS} of date and {CHANNELS}")
    return scale(np.array([line[1:] for line in lines], dtype=np.float64))


def scale(rows: np.ndarray) -> np.ndarray:
    """Rows [time, channels], each channel from 0 to 1."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    return (rows - low) / (high - low)


def cut(rows: np.ndarray, length: int = LENGTH) -> np.ndarray:
    """Every window [n, length, channels] of `rows` [time, channels], a row apart."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(rows, length, axis=0).transpose(0, 2, 1))


CHANNELS = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
ROWS = 17420
