"""How much of its quality a diffusion model has after how many steps, by sampler."""

import argparse
import json
from pathlib import Path

import numpy as np

from .generator_family import TRAINERS, Generator, Sampling
from .generator_figures import like, parts, real
from .generator_quality import autocorrelation, high_energy, steps, told_apart
from .generator_windows import Windows
from .recordings import read_hydraulic

DENOISED = ("hydraulic-diffusion", "hydraulic-latent")


def add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=DENOISED, help="this model only")
    parser.add_argument("--draws", type=int, default=3, help="starting noises that a figure is the mean of (default: 3)")
    parser.add_argument("--json", type=Path, help="also writes the figures there")


def print_steps(arguments: argparse.Namespace) -> None:
    """Prints a table, a row for each sampler and number of steps, of models trained once on the runs that are learned from."""
    train, held_out = parts(read_hydraulic(arguments.data), 0, choose=False)
    print(HEADING)
    print(row(["real", "–", "–"], [told(real(train, held_out, seed), train, held_out, seed) for seed in range(arguments.draws)]))
    found = {}
    for name in arguments.only or DENOISED:
        made = TRAINERS[name](train, 0)
        for sampler in SAMPLERS:
            for count in STEPS:
                wanted = Sampling(sampler, count, made.sampling.guidance)
                figures = [drawn(made, wanted, train, held_out, seed) for seed in range(arguments.draws)]
                found[f"{name} {sampler} {count}"] = figures
                print(row([name, SAMPLERS[sampler], str(count)], figures), flush=True)
                if arguments.json:
                    arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def drawn(made: Generator, wanted: Sampling, train: Windows, held_out: Windows, seed: int) -> dict[str, float]:
    return told(like(held_out, made.generate(held_out.condition, seed, wanted)), train, held_out, seed)


def told(synthetic: Windows, train: Windows, held_out: Windows, seed: int) -> dict[str, float]:
    return {
        "c2st": told_apart(synthetic.flat, synthetic.run, held_out.flat, held_out.run, seed),
        "fine": told_apart(steps(synthetic, train), synthetic.run, steps(held_out, train), held_out.run, seed),
        "acf": float(np.abs(autocorrelation(synthetic.series) - autocorrelation(held_out.series)).mean()),
        "high": high_energy(synthetic, held_out),
    }


def row(head: list[str], figures: list[dict[str, float]]) -> str:
    cells = [f"{np.mean([figure[key] for figure in figures]):.3f}" for key in figures[0]]
    return "| " + " | ".join([*head, *cells]) + " |"


SAMPLERS = {"ddpm": "DDPM", "ddim": "DDIM", "dpm++": "DPM-Solver++(2M)"}
STEPS = (5, 10, 20, 50, 200)
HEADING = "| model | sampler | steps | C2ST | fine | ACF | HF |\n|---|---|---|---|---|---|---|"
