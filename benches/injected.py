"""Which injected anomalies `score` finds, by kind and size, and whether it names their channel first.

    cargo build --release
    python benches/injected.py RECORDING CALIBRATE [--events N] [SCORE OR INJECT OPTIONS, e.g. --ignore run,cycle]

Per kind and size N events of 60 rows at random, five lengths apart, after the calibration's rows. Counted are those that begin
while the recording as it is raises no alarm in the same rows: found where the alarm comes within the event or in the 10 rows after it
and was not on before; named where the first row in alarm gives its channel the largest share. The last line tells in how many such
spans the recording as it is raises one all the same.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

BINARY = Path(__file__).parent.parent / "target" / "release" / "wheeltapper"
SIZES = {
    "amplitude": [2, 4, 8],
    "extremum": [2, 4, 8],
    "frequency": [2, 4],
    "mean": [1, 2, 4],
    "pattern": [10],
    "pattern-shift": [5, 20],
    "platform": [2, 4],
    "trend": [2, 4, 8],
    "variance": [4, 25],
    "mode-correlation": [None],
    "stuck": [0],
    "drift": [2, 4, 8],
    "dropout": [1],
    "spike-burst": [4, 8],
    "cross-channel-break": [None],
}
LENGTH, AFTER = 60, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("calibrate", type=int)
    parser.add_argument("--events", type=int, default=10)
    arguments, more = parser.parse_known_args()
    scored = [more[at : at + 2] for at in range(0, len(more), 2)]
    shared = [word for pair in scored if pair[0] != "--kind" for word in pair]
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        clean = scores(arguments.recording, arguments.calibrate, more, files)
        print("| kind | size | events | found | named first |\n|---|---|---|---|---|")
        spans = []
        for kind, sizes in SIZES.items():
            for size in sizes:
                out, events = files / "out.csv", files / "events.csv"
                length = 1 if kind == "extremum" else LENGTH
                asked = ["--random", str(arguments.events), "--kinds", kind, "--lengths", f"{length}..{length}"]
                asked += ["--skip", str(arguments.calibrate), "--distance", str(5 * LENGTH), "--seed", "1"]
                asked += [] if size is None else ["--size", str(size)]
                run(["inject", arguments.recording, "--out", out, "--events", events, *asked, *shared])
                rows = scores(out, arguments.calibrate, more, files)
                truth = [event for event in csv.DictReader(events.open()) if quiet(clean, span(event))]
                spans += [span(event) for event in csv.DictReader(events.open())]
                firsts = [(first_alarm(rows, span(event)), event["channel"]) for event in truth]
                found = [(first, channel) for first, channel in firsts if first is not None]
                named = [1 for first, channel in found if leading(first) == channel]
                shown = "" if size is None else size
                print(f"| {kind} | {shown} | {len(truth)} | {len(found)} | {len(named)} |", flush=True)
        alarms = sum(first_alarm(clean, span) is not None for span in spans)
        print(f"as it is: an alarm begins in {alarms} of {len(spans)} such spans")


def scores(recording, calibrate: int, more: list[str], files: Path) -> list[dict]:
    out = files / "scores.csv"
    run(["score", recording, "--calibrate", str(calibrate), "--out", out, *more])
    return list(csv.DictReader(out.open()))


def span(event: dict) -> tuple[int, int]:
    return int(event["first_row"]) - 1, int(event["last_row"]) + AFTER


def quiet(rows: list[dict], span: tuple[int, int]) -> bool:
    return all(row["alarm"] == "0" for row in rows[span[0] - 1 : span[1]])


def first_alarm(rows: list[dict], span: tuple[int, int]) -> dict | None:
    if rows[span[0] - 1]["alarm"] == "1":
        return None
    return next((row for row in rows[span[0] : span[1]] if row["alarm"] == "1"), None)


def leading(row: dict) -> str:
    shares = {name: float(share or 0) for name, share in row.items() if name.startswith("contribution:")}
    return max(shares, key=shares.get).removeprefix("contribution:")


def run(words: list) -> None:
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)


if __name__ == "__main__":
    main()
