"""Command line: `python -m benchmark`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from .context_encoder import fit_encoder
from .context_fid import context_fid
from .contenders import Diffusion, Pair, copies, gaussian, halves
from .correlational import correlational
from .diffusion import Recipe
from .discriminative import Judge, discriminative
from .memory import memory
from .predictive import predictive
from .table import memory_table, table
from .windows import DataError, cut, read_rows

REPOSITORY = Path(__file__).resolve().parents[3]

Pairs = dict[str, list[Pair]]
"""Of each generator, what is compared in each run."""
Figures = dict[str, list[float]]
"""Of each generator, a figure a run."""
Score = Callable[[np.ndarray, Pairs, int], Figures]
"""Takes all real windows, the pairs and a seed."""


def main() -> int:
    arguments = parser().parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        windows = cut(read_rows(arguments.data / "etth1" / "ETTh1.csv"))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    arguments.work.mkdir(parents=True, exist_ok=True)
    pairs = drawn_pairs(windows, arguments)
    figures = {}
    for key, score in SCORED.items():
        path = arguments.work / f"{key}-{arguments.seed}-{arguments.runs}-{arguments.trainings}.json"
        if not path.exists():
            start = time.process_time()
            path.write_text(json.dumps(score(windows, pairs, arguments.seed), indent=1), encoding="utf-8")
            print(f"{key}: {time.process_time() - start:.0f} s", file=sys.stderr, flush=True)
        figures[key] = json.loads(path.read_text(encoding="utf-8"))
    print(table(figures), flush=True)
    repeated = {name: runs[0].synthetic[:DRAWN] for name, runs in pairs.items() if name != FLOOR}
    repeated["copies with 2 % of noise"] = copies(windows, DRAWN, arguments.seed)
    print("\n" + memory_table(memory(windows, repeated)))
    return 0


def drawn_pairs(windows: np.ndarray, arguments: argparse.Namespace) -> Pairs:
    """For each generator, real and synthetic windows of each run: fresh draws by the seed of the run."""
    count = len(windows)
    pairs: Pairs = {}
    for run in range(arguments.runs):
        seed, denoiser = arguments.seed + run, arguments.seed + run % arguments.trainings
        diffusion = Diffusion(windows, Recipe(), denoiser, arguments.work / f"denoiser-{denoiser}.pt")
        pairs.setdefault("diffusion, this repository", []).append(Pair(windows, diffusion.draw(count, seed)))
        pairs.setdefault("Gaussian, no network", []).append(Pair(windows, gaussian(windows, count, seed)))
        pairs.setdefault(FLOOR, []).append(halves(windows, seed))
    return pairs


def side_by_side(score: Callable[[list[Pair], int], list[float]]) -> Score:
    """A score that trains a network for each pair, all of them at once."""
    def scored(_: np.ndarray, pairs: Pairs, seed: int) -> Figures:
        figures = iter(score([pair for runs in pairs.values() for pair in runs], seed))
        return {name: [next(figures) for _ in runs] for name, runs in pairs.items()}
    return scored


def correlations(_: np.ndarray, pairs: Pairs, seed: int) -> Figures:
    return {
        name: [correlational(pair.real, pair.synthetic, seed + run) for run, pair in enumerate(runs)]
        for name, runs in pairs.items()
    }


def distances(windows: np.ndarray, pairs: Pairs, seed: int) -> Figures:
    """Context-FID, each run with an encoder of its own that has learned from all real windows."""
    figures: Figures = {name: [] for name in pairs}
    for run in range(len(next(iter(pairs.values())))):
        encoder = fit_encoder(windows, seed + run)
        for name, runs in pairs.items():
            figures[name].append(context_fid(encoder, runs[run].real, runs[run].synthetic))
    return figures


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="benchmark", description="Compares generators on ETTh1 by the published scores.", allow_abbrev=False
    )
    result.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("WHEELTAPPER_DATA", REPOSITORY / ".." / "shared" / "data")),
        help="folder that holds etth1/ETTh1.csv (default: $WHEELTAPPER_DATA, else ../shared/data beside the repository)",
    )
    result.add_argument(
        "--work",
        type=Path,
        default=REPOSITORY / "target" / "benchmark",
        help="folder of the weights and figures that are kept, and not made again (default: target/benchmark)",
    )
    result.add_argument("--runs", type=positive, default=5, help="draws and judges (default: 5)")
    result.add_argument("--trainings", type=positive, default=1, help="denoisers that the runs share (default: 1)")
    result.add_argument("--seed", type=int, default=7, help="of the first run; the others follow (default: 7)")
    return result


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 at least")
    return int(text)


keen = side_by_side(lambda pairs, seed: discriminative(pairs, seed, Judge(hidden=KEEN)))
SCORED = {
    "correlational": correlations,
    "predictive": side_by_side(predictive),
    "discriminative": side_by_side(discriminative),
    "context_fid": distances,
    "keen": lambda windows, pairs, seed: keen(windows, {name: runs[:1] for name, runs in pairs.items()}, seed),
}
"""Keys of `table.SCORES`, quick ones first."""
KEEN = 24
"""Units of a judge that is not as easily misled as one with 3."""
FLOOR = "real, one half beside the other"
DRAWN = 3000
"""Windows that are looked for among the learned ones."""

if __name__ == "__main__":
    sys.exit(main())
