"""The table: figures of this run beside the published ones."""

import math

from .memory import Memory

SCORES = {
    "discriminative": "discriminative",
    "predictive": "predictive",
    "context_fid": "Context-FID",
    "correlational": "correlational",
    "keen": "discriminative, 24 units, one run",
}
"""Keys of the figures, with their names."""

PUBLISHED = {
    "Diffusion-TS": (0.061, 0.119, 0.116, 0.049),
    "TimeGAN": (0.114, 0.124, 0.300, 0.210),
    "TimeVAE": (0.209, 0.126, 0.805, 0.111),
}
"""At window 24, in the order of the scores (Yuan and Qiao, ICLR 2024, table 1)."""


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """Markdown; `figures` of each score, of each generator, of each run."""
    lines = [heading(["ETTh1, window 24", *SCORES.values()])]
    for name in next(iter(figures.values())):
        lines.append(row([name, *(spread(figures[key][name]) for key in SCORES)]))
    for name, published in PUBLISHED.items():
        lines.append(row([f"{name}, as published", *(f"{figure:.3f}" for figure in published), "–"]))
    return "\n".join(lines)


def memory_table(figures: dict[str, Memory]) -> str:
    lines = [heading(["ETTh1, window 24", "flagged", "distance"])]
    lines += [row([name, f"{figure.flagged:.2f}", f"{figure.distance:.2f}"]) for name, figure in figures.items()]
    return "\n".join(lines)


def spread(figures: list[float]) -> str:
    """Mean of the runs and half the width of its 95 % confidence interval, as the published tables have it."""
    mean = sum(figures) / len(figures)
    if len(figures) < 2:
        return f"{mean:.3f}"
    deviation = math.sqrt(sum((figure - mean) ** 2 for figure in figures) / (len(figures) - 1))
    quantile = STUDENT.get(len(figures), 1.96)
    return f"{mean:.3f} ± {quantile * deviation / math.sqrt(len(figures)):.3f}"


def heading(cells: list[str]) -> str:
    return row(cells) + "\n" + "|---" * len(cells) + "|"


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Quantile .975 of Student's distribution, by the number of runs."""
