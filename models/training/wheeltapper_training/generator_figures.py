"""Figures of the generators: trained on some runs, judged on others, beside real data and simple baselines."""

import argparse
import json
from pathlib import Path

import numpy as np

from .generator_family import TRAINERS, Generator, Sampling, tensors
from .generator_frame import fit_basis
from .generator_package import HIGHEST, LOWEST, RESOLUTION
from .generator_quality import quality
from .generator_windows import FLAT, Windows, split, windows_of
from .recordings import CHANNELS, CYCLE, Run, read_hydraulic

SHARE = 0.67
"""Of the runs, those that are learned from; all others judge."""
JUDGING = 1
"""Seed of that split. Nothing is chosen by the judging runs: for that, `--choose` splits the runs that are learned from anew."""
CARDS = Path(__file__).with_name("generator_figures.json")
"""Table of each package for its card."""


def add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=5, help="trainings and draws (default: 5)")
    parser.add_argument("--only", action="append", choices=[*TRAINERS, *BASELINES], help="this row only; may be repeated")
    parser.add_argument("--guidance", type=float, help="instead of the packages' own")
    parser.add_argument("--choose", action="store_true", help="leaves the judging runs out, and judges on others, new ones for each seed")
    parser.add_argument("--json", type=Path, help="adds the figures to this file, row by row, and goes on where it ends")
    parser.add_argument("--cards", action="store_true", help="keeps the tables for the packages' model cards")


def print_figures(arguments: argparse.Namespace) -> None:
    """Prints a table, a row for each generator, with the mean over seeds."""
    kept = arguments.json
    rows: dict[str, list[dict]] = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
    runs = read_hydraulic(arguments.data)
    names = arguments.only or [*BASELINES, *TRAINERS]
    for seed in range(arguments.seeds):
        train, held_out = parts(runs, seed, arguments.choose)
        for name in names:
            if len(rows.setdefault(name, [])) > seed:
                continue
            if name in BASELINES:
                figures = quality(BASELINES[name](train, held_out, seed), train, held_out, seed)
            else:
                figures = judged(TRAINERS[name](train, seed), train, held_out, seed, arguments.guidance)
            rows[name].append(figures)
            print(line(f"{name} {seed}", [figures]), flush=True)
            if kept:
                kept.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(HEADING)
    for name in names:
        print(line(name, rows[name]), flush=True)
    if arguments.cards:
        keep_tables(rows)


def parts(runs: list[Run], seed: int, choose: bool) -> tuple[Windows, Windows]:
    """Windows that are learned from, and those that judge."""
    learned, _, judging = split(runs, (SHARE, 0.0), JUDGING)
    if choose:
        learned, _, judging = split(learned, (SHARE, 0.0), CHOOSING + seed)
    return windows_of(learned), windows_of(judging).thinned(seed)


def keep_tables(rows: dict[str, list[dict]]) -> None:
    beside = [line(name, rows[name]) for name in BASELINES if name in rows]
    known = json.loads(CARDS.read_text(encoding="utf-8"))
    for name in TRAINERS:
        if name in rows:
            table = "\n".join([HEADING, line(name, rows[name]), *beside])
            known[name] = f"Trainings: {len(rows[name])}.\n\n{table}"
    CARDS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def judged(made: Generator, train: Windows, held_out: Windows, seed: int, guidance: float | None = None) -> dict:
    wanted = made.sampling
    if wanted and guidance:
        wanted = Sampling(wanted.sampler, wanted.steps, guidance)
    series = made.generate(held_out.condition, seed, wanted)
    return quality(like(held_out, series), train, held_out, seed) | joins(made, train, held_out, seed)


def joins(made: Generator, train: Windows, held_out: Windows, seed: int) -> dict[str, float]:
    """How chains of windows hold together, beside runs of `train` whose labels they take: deviation of the step across the
    seam relative to the real one, median over channels; lag-1 correlation of window means, less the real one; and the
    deviation of a long chain's noise."""
    import torch

    before, _ = train.pairs()
    rng = np.random.default_rng(seed)
    places = np.sort(rng.permutation(before)[:JOINS])
    generator = torch.Generator().manual_seed(seed)
    link = made.networks["continuation"]
    first = torch.randn(len(places), *made.latent, generator=generator)
    with torch.no_grad():
        second = link(first, torch.randn(first.shape, generator=generator))
        chain = first
        for _ in range(50):
            chain = link(chain, torch.randn(first.shape, generator=generator))
    condition = train.condition[places]
    one, two = (rounded(made.finish(start, condition, seed + place)) for place, start in enumerate((first, second)))
    real_one, real_two = train.series[places], train.series[places + 1]
    seam, real_seam = ((b[:, :, 0] - a[:, :, -1]).std(axis=0) for a, b in ((one, two), (real_one, real_two)))
    usual = condition @ np.linalg.lstsq(train.condition, train.series.mean(axis=2), rcond=None)[0]
    lagged = [
        np.mean([np.corrcoef((a.mean(axis=2) - usual)[:, c], (b.mean(axis=2) - usual)[:, c])[0, 1] for c in range(len(CHANNELS))])
        for a, b in ((one, two), (real_one, real_two))
    ]
    moving = real_seam > 0
    ratios = seam[moving] / real_seam[moving]
    return {
        "seam": float(np.median(ratios)),
        "seams": [float(a / b) if b > 0 else float(a) for a, b in zip(seam, real_seam, strict=True)],
        "lag": float(lagged[0]),
        "real_lag": float(lagged[1]),
        "chain": float(chain.std()),
    }


def like(held_out: Windows, series: np.ndarray) -> Windows:
    return Windows(rounded(series), held_out.labels, held_out.run)


def rounded(series: np.ndarray) -> np.ndarray:
    """As the daemon writes values: held within the channels' bounds, at their resolution."""
    result = series.astype(float)
    for place, name in enumerate(CHANNELS):
        resolution = RESOLUTION.get(name, 1e-3)
        values = np.round(result[:, place] / resolution) * resolution
        result[:, place] = np.clip(values, LOWEST.get(name, -np.inf), HIGHEST.get(name, np.inf))
    return result


def real(train: Windows, held_out: Windows, seed: int) -> Windows:
    """As many windows of other runs."""
    thin = train.thinned(seed)
    places = np.random.default_rng(seed).permutation(len(thin.flat))[:len(held_out.flat)]
    return thin.at(np.sort(places))


def gaussian(train: Windows, held_out: Windows, seed: int) -> Windows:
    """Mean and covariance of all windows, whatever their labels."""
    rng = np.random.default_rng(seed)
    mean = train.weight @ train.flat
    drawn = rng.normal(size=(len(held_out.flat), len(train.flat))) @ (np.sqrt(train.weight)[:, None] * (train.flat - mean))
    return like(held_out, (mean + drawn).reshape(held_out.series.shape))


def additive_gaussian(train: Windows, held_out: Windows, seed: int) -> Windows:
    """Mean by a linear model of the labels, one covariance for all."""
    basis = fit_basis(train, kept=FLAT // 2)
    rng = np.random.default_rng(seed)
    weighted = np.sqrt(train.weight)[:, None] * basis.residual(train) * basis.scale
    drawn = rng.normal(size=(len(held_out.flat), len(train.flat))) @ weighted
    flat = basis.mean + held_out.condition @ basis.effects + drawn
    return like(held_out, flat.reshape(held_out.series.shape))


def copies(train: Windows, held_out: Windows, seed: int) -> Windows:
    """Windows of train with 2 % of noise, relative to what the labels do not explain."""
    chosen = real(train, held_out, seed)
    noise = np.random.default_rng(seed).normal(size=chosen.series.shape) * fit_basis(train, kept=1).scale.reshape(-1, CYCLE)
    return Windows(rounded(chosen.series + 0.02 * noise), chosen.labels, chosen.run)


BASELINES = {"real": real, "gaussian": gaussian, "additive-gaussian": additive_gaussian, "copies": copies}


def line(name: str, figures: list[dict]) -> str:
    """A row of the table: means over seeds."""
    def mean(key: str) -> float:
        return float(np.mean([figure[key] for figure in figures]))

    def each(key: str) -> str:
        return "/".join(f"{value:.2f}" for value in np.mean([figure[key] for figure in figures], axis=0))

    cells = [
        f"{name:24}", f"{mean('c2st'):.3f}", f"{mean('fine'):.3f}", f"{mean('high'):.2f}", f"{mean('psd'):.2f}",
        f"{mean('ks'):.2f}", each("tstr"), each("obeyed"),
    ]
    if name.split()[0] == "real":
        return "| " + " | ".join([*cells, f"({mean('real_flag'):.2f})", "–", "–", "–", "–", "–"]) + " |"
    cells += [f"{mean('flag'):.2f} ({mean('real_flag'):.2f})", f"{mean('closer'):.2f}", f"{mean('duplicates'):.0f}"]
    if "seam" in figures[0]:
        cells += [f"{mean('seam'):.2f}", f"{mean('lag'):.2f} ({mean('real_lag'):.2f})", f"{mean('chain'):.3f}"]
    else:
        cells += ["–", "–", "–"]
    return "| " + " | ".join(cells) + " |"


HEADING = (
    "| generator | C2ST | fine | HF | PSD | KS | TSTR/TRTR cooler/valve/pump/accumulator | obeyed | flag (real) | closer | "
    "copies | seam | lag 1 (real) | chain |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)
CHOOSING = 100
JOINS = 300
