"""Recordings of strangers: what is read, what is left out, and what is answered to one that cannot be learned from."""

import gzip

import numpy as np
import pytest

from wheeltapper_training.own_recording import LEAST_ROWS, RecordingError, Wishes, read_machine

ROWS = 1000


@pytest.fixture
def write(tmp_path):
    def write(lines: list[str], name: str = "press.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def sound(rows: int = ROWS, extra: str = "", cell: str = "") -> list[str]:
    """A header and rows of two channels at 1 Hz, with another column at the end."""
    return [f"time,a,b{extra}"] + [f"{1_700_000_000 + t},{np.sin(t / 9):.4f},{t % 17}{cell}" for t in range(rows)]


def refused(*paths, wishes: Wishes = Wishes()) -> str:
    with pytest.raises(RecordingError) as refusal:
        read_machine(list(paths), wishes)
    return str(refusal.value)


def test_channels_rows_and_cadence_are_read(write):
    machine = read_machine([write(sound())], Wishes())
    assert (machine.channels, machine.rows, machine.cadence) == (["a", "b"], ROWS, 1.0)


def test_semicolons_dates_and_gzip_are_read(tmp_path):
    lines = ["datetime;a;b"] + [f"2026-03-01 {t // 3600:02}:{t // 60 % 60:02}:{t % 60:02};{t % 7};{t % 5}" for t in range(ROWS)]
    path = tmp_path / "press.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    machine = read_machine([path], Wishes())
    assert (machine.channels, machine.cadence) == (["a", "b"], 1.0)


def test_short_gaps_of_a_channel_are_filled_and_long_ones_cut_the_recording(write):
    lines = sound(2000)
    for t in (100, 101, *range(1000, 1020)):
        lines[1 + t] = f"{1_700_000_000 + t},,{t % 17}"
    machine = read_machine([write(lines)], Wishes())
    assert [len(stretch.rows) for stretch in machine.stretches] == [1005, 980]
    assert all(np.isfinite(stretch.rows).all() for stretch in machine.stretches)


def test_a_gap_in_time_cuts_the_recording(write):
    lines = sound(2000)
    del lines[901:961]
    assert [len(stretch.rows) for stretch in read_machine([write(lines)], Wishes()).stretches] == [900, 1040]


def test_a_column_that_never_changes_is_left_out_and_said(write):
    machine = read_machine([write(sound(extra=",set point", cell=",7"))], Wishes())
    assert machine.channels == ["a", "b"]
    assert any("set point" in note and "always 7" in note for note in machine.notes)


def test_a_label_of_sound_rows_is_no_channel(write):
    assert read_machine([write(sound(extra=",anomaly", cell=",0.0"))], Wishes()).channels == ["a", "b"]


def test_a_labelled_fault_is_refused_with_its_line_and_the_way_out(write):
    lines = sound(extra=",anomaly", cell=",0")
    lines[500] = lines[500][:-1] + "1"
    path = write(lines)
    said = refused(path)
    assert "line 501" in said and "--keep anomaly=0" in said
    kept = read_machine([path], Wishes(keep=("anomaly", "0")))
    assert kept.rows == ROWS - 1 and len(kept.stretches) == 2


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (sound(300), [str(LEAST_ROWS), "300", "Record longer"]),
        (["1,2,3", "4,5,6"], ["line 1", "names of the columns"]),
        (sound()[:500] + ["1700000999,broken,3"], ["line 501", "'a'", "'broken'", "--ignore"]),
        (sound()[:500] + ["1700000999,3"], ["line 501", "2 cells", "3"]),
        (sound()[:500] + ["1600000000,3,4"], ["goes back", "Sort"]),
        (["time,a,a"] + ["1,2,3"] * 10, ["'a'", "twice"]),
        (["when,a,b"] + [f"x,{t},{t}" for t in range(ROWS)], ["'when'", "'x'"]),
        ([line.split(",", 1)[1] for line in sound()], ["--cadence", "--time"]),
        (["time,a"] + [f"{t},5" for t in range(ROWS)], ["always 5", "while it runs"]),
        ([], ["names of the columns"]),
    ],
)
def test_what_cannot_be_learned_from_is_answered_with_where_and_what_to_do(write, lines, told):
    said = refused(write(lines))
    assert all(word in said for word in told), said


def test_files_with_other_columns_are_refused(write):
    one = write(sound())
    other = write([line.replace("time,a,b", "time,a,c") for line in sound()], "other.csv")
    assert "['b', 'c']" in refused(one, other)


def test_a_file_that_is_not_there_and_one_that_is_no_text_are_named(tmp_path):
    assert "nowhere.csv" in refused(tmp_path / "nowhere.csv")
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)) * 10)
    assert "UTF-8" in refused(tmp_path / "noise.csv")
