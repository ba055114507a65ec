"""Reads recordings of any machine: delimited text, plain or gzip, one row a sample, the first line names the columns."""

import csv
import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

TIMES = ("time", "timestamp", "datetime", "date", "date_time", "date time", "ts", "_time")
LABELS = ("label", "labels", "anomaly", "is_anomaly", "changepoint", "fault", "class", "target", "attack", "outlier")
MISSING = ("", "nan", "na", "n/a", "null", "none", "-", "?")
SEPARATORS = ",;\t|"
HELD = 5
"""A value stands in for so many missing ones after it, as in the daemon."""
LONGEST_STEP = 3.0
"""In cadences; what lies further apart is not one stretch."""
LEAST_PRESENT = 0.9
LEAST_STRETCH = 128
"""Rows; shorter stretches between gaps teach nothing."""
LEAST_ROWS = 800


class RecordingError(ValueError):
    """A recording that cannot be learned from: where, what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Wishes:
    """What the command line says of the columns."""

    ignore: tuple[str, ...] = ()
    time: str | None = None
    keep: tuple[str, str] | None = None
    """A column, and the value that it has in the rows to learn from."""
    cadence: float | None = None
    """In seconds."""


@dataclass(frozen=True)
class Stretch:
    """Rows [time, channels] of one file without a gap between them."""

    source: str
    rows: np.ndarray


@dataclass
class Machine:
    """Everything that was read."""

    channels: list[str]
    stretches: list[Stretch]
    cadence: float
    notes: list[str] = field(default_factory=list)
    """What was left out and why."""

    @property
    def rows(self) -> int:
        return sum(len(stretch.rows) for stretch in self.stretches)


def read_machine(paths: list[Path], wishes: Wishes) -> Machine:
    """All files as one machine: the same columns in each, gaps cut, columns that tell nothing left out."""
    tables = [_read(path, wishes) for path in paths]
    first = tables[0]
    for table in tables[1:]:
        if table.names != first.names:
            odd = sorted(set(table.names) ^ set(first.names)) or table.names
            raise RecordingError(
                f"{table.path}: its columns are not those of {first.path}; {odd} stand in one of them only or in another "
                "order. Give files of one machine, or leave columns out with --ignore"
            )
    notes = list(first.notes)
    cadence = _cadence(tables, wishes)
    every = np.concatenate([table.rows for table in tables])
    kept = []
    for place, name in enumerate(first.names):
        column = every[:, place]
        present = np.isfinite(column).mean()
        if present < LEAST_PRESENT:
            notes.append(f"{name}: left out, it has a value in {present:.0%} of the rows, at least {LEAST_PRESENT:.0%} are needed")
        elif np.nanmax(column) == np.nanmin(column):
            notes.append(f"{name}: left out, it is always {column[np.isfinite(column)][0]:g}")
        else:
            kept.append(place)
    if not kept:
        raise RecordingError(
            f"{first.path}: no channel is left, of {first.names}: {'; '.join(notes)}. Record the machine while it runs"
        )
    stretches = []
    for table in tables:
        stretches += [
            Stretch(str(table.path), rows)
            for rows in _stretches(_held(table.rows[:, kept]), table.seconds, table.breaks, cadence)
            if len(rows) >= LEAST_STRETCH
        ]
    machine = Machine([first.names[place] for place in kept], stretches, cadence, notes)
    if machine.rows < LEAST_ROWS:
        raise RecordingError(
            f"{', '.join(map(str, paths))}: {machine.rows} of {len(every)} rows lie in stretches of at least {LEAST_STRETCH} "
            f"without a gap, at least {LEAST_ROWS} are needed. Record longer, better for days, or fill the gaps"
        )
    return machine


@dataclass
class _Table:
    path: Path
    names: list[str]
    rows: np.ndarray
    seconds: np.ndarray | None
    breaks: np.ndarray
    """Whether rows were left out right before this one."""
    notes: list[str]


def _read(path: Path, wishes: Wishes) -> _Table:
    lines = _lines(path)
    header = [name.strip() for name in next(lines, (0, []))[1]]
    if not header or all(_number(cell) is not None for cell in header):
        raise RecordingError(f"{path}, line 1: expected the names of the columns, found {header}. Put a header on top")
    doubles = sorted({name for name in header if header.count(name) > 1})
    if doubles:
        raise RecordingError(f"{path}, line 1: the columns {doubles} stand there twice. Rename them, or cut them out")
    named = [*wishes.ignore, *filter(None, [wishes.time, wishes.keep[0] if wishes.keep else None])]
    for name in named:
        if name not in header:
            raise RecordingError(f"{path}: there is no column {name!r}; its columns are {header}")
    time = wishes.time or next((name for name in header if name.lower() in TIMES), None)
    labels = [name for name in header if name.lower() in LABELS and name not in wishes.ignore]
    names = [name for name in header if name not in {*wishes.ignore, *labels, time, wishes.keep and wishes.keep[0]}]
    if not names:
        raise RecordingError(f"{path}: no channel is left of its columns {header}. Ignore fewer of them")
    notes = [f"{name}: left out, it is named like a label" for name in labels if not wishes.keep or name != wishes.keep[0]]
    places = [header.index(name) for name in names]
    rows, seconds, breaks = [], [], []
    left_out = False
    for number, cells in lines:
        if len(cells) != len(header):
            raise RecordingError(
                f"{path}, line {number}: {len(cells)} cells, the header has {len(header)}. A last line that was cut "
                "short may be deleted; otherwise check the separator"
            )
        if wishes.keep and not _alike(cells[header.index(wishes.keep[0])], wishes.keep[1]):
            left_out = True
            continue
        _refuse_labelled(path, number, header, cells, labels, wishes)
        rows.append([_value(path, number, header[place], cells[place]) for place in places])
        if time is not None:
            seconds.append(_seconds(path, number, time, cells[header.index(time)]))
        breaks.append(left_out)
        left_out = False
    if not rows:
        raise RecordingError(f"{path}: no row is left. {'No row has the value that --keep asks for' if wishes.keep else ''}")
    if time is not None and np.any(np.diff(seconds) < 0):
        number = int(np.argmax(np.diff(seconds) < 0)) + 3
        raise RecordingError(
            f"{path}, about line {number}: the time in {time!r} goes back. Sort the rows by time, or give each recording as "
            "a file of its own"
        )
    return _Table(path, names, np.array(rows), np.array(seconds) if time is not None else None, np.array(breaks), notes)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells; empty lines are skipped."""
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with (gzip.open if compressed else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            start = file.readline()
            separator = max(SEPARATORS, key=start.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=separator)
            for cells in reader:
                if cells and any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, EOFError) as error:
        raise RecordingError(f"{path}: expected delimited UTF-8 text, plain or gzip: {error}") from error


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _alike(cell: str, wanted: str) -> bool:
    one, other = _number(cell), _number(wanted)
    return cell.strip() == wanted.strip() or (one is not None and one == other)


def _value(path: Path, line: int, column: str, cell: str) -> float:
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    value = _number(text)
    if value is None:
        raise RecordingError(
            f"{path}, line {line}, column {column!r}: expected a number with a decimal point, or an empty cell, found "
            f"{text!r}. Leave the column out with --ignore {column!r}, or name it with --time if it is the time"
        )
    return value if math.isfinite(value) else math.nan


def _refuse_labelled(
    path: Path, line: int, header: list[str], cells: list[str], labels: list[str], wishes: Wishes
) -> None:
    for name in labels:
        found = cells[header.index(name)].strip()
        marked = found.lower() not in (*MISSING, "normal", "false", "ok") and _number(found) != 0.0
        if marked and not wishes.keep:
            raise RecordingError(
                f"{path}, line {line}: the column {name!r} says {found!r}, but a network learns from sound operation only. "
                f"Keep the sound rows with --keep {name}=0, or, if it is no label, say --ignore {name!r}"
            )


def _seconds(path: Path, line: int, column: str, cell: str) -> float:
    text = cell.strip()
    number = _number(text)
    if number is not None:
        # Milliseconds, microseconds and nanoseconds since 1970 are told by their size.
        return number / next((unit for unit in (1e9, 1e6, 1e3) if abs(number) / unit > 1e8), 1.0)
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError as error:
        raise RecordingError(
            f"{path}, line {line}, column {column!r}: expected a time such as 2026-03-01 15:44:06 or seconds since 1970, "
            f"found {text!r}. Name another column with --time, or --ignore this one and give --cadence"
        ) from error


def _cadence(tables: list[_Table], wishes: Wishes) -> float:
    if wishes.cadence is not None:
        return wishes.cadence
    steps = [np.diff(table.seconds) for table in tables if table.seconds is not None]
    positive = np.concatenate([step[step > 0] for step in steps]) if steps else np.array([])
    if len(positive) == 0:
        raise RecordingError(
            f"{tables[0].path}: no column tells the time, so that nothing tells how far apart its rows are. Name the "
            "column with --time, or say how far with --cadence, such as --cadence 1s"
        )
    return float(np.median(positive))


def _held(rows: np.ndarray) -> np.ndarray:
    """The rows with short gaps of a channel filled by the value before them."""
    filled = rows.copy()
    for _ in range(HELD):
        filled[1:] = np.where(np.isnan(filled[1:]), filled[:-1], filled[1:])
    return filled


def _stretches(
    rows: np.ndarray, seconds: np.ndarray | None, breaks: np.ndarray, cadence: float
) -> list[np.ndarray]:
    whole = np.isfinite(rows).all(axis=1)
    cut = breaks | ~whole | ~np.append(True, whole[:-1])
    if seconds is not None:
        cut |= np.append(False, np.diff(seconds) > LONGEST_STEP * cadence)
    starts = np.flatnonzero(cut)
    return [piece[np.isfinite(piece).all(axis=1)] for piece in np.split(rows, starts[starts > 0])]
