"""Judges a denoiser on the hydraulic rig: "one component differs".

A *machine* is a condition with a run that is long enough to calibrate on. What follows its calibration rows is either
normal (the rest of that run, other runs of the same condition) or anomalous (runs in which exactly one component
differs). Runs are hours apart, so a test run is not put behind the calibration rows, which would make an onset out of
the change of day: its own first cycle is played several times before it. What is judged is the settled state.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from .causal_net import CausalDenoiser
from .charts import Chart, balanced_average_precision, ewma
from .recordings import COMPONENTS, CYCLE, HEALTHY, Run
from .scaling import CALIBRATION_ROWS, Scale

SCORERS = ("chart", "net", "both")
WARM_UP_CYCLES = 3
CALIBRATION_CYCLES = CALIBRATION_ROWS // CYCLE


@dataclass(frozen=True)
class Figure:
    """Area under the precision-recall curve for one machine, one differing component and each of the scorers."""

    run: int
    component: str
    group: str
    area: dict[str, float]


class Detector:
    """Chart on the scaled channels, chart on the residuals of the net, and their geometric mean."""

    def __init__(self, net: CausalDenoiser, rows: np.ndarray, floor: np.ndarray):
        """Calibrates on rows [time, channels] that end on a cycle boundary."""
        self.net = net
        self.scale = Scale.calibrate(rows, floor)
        channels, residuals = self._smooth(rows)
        self.channel_chart = Chart.calibrate(channels[net.window - 1:])
        self.residual_chart = Chart.calibrate(residuals[net.window - 1:])

    def score(self, run_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Scores [time] of the rows of a run, by scorer; net and charts have settled on its first cycle before."""
        warm_up = np.tile(run_rows[:CYCLE], (WARM_UP_CYCLES, 1))
        channels, residuals = self._smooth(np.concatenate([warm_up, run_rows]))
        chart = self.channel_chart.score(channels[len(warm_up):])
        net = self.residual_chart.score(residuals[len(warm_up):])
        return {"chart": chart, "net": net, "both": np.sqrt(chart * net)}

    def _smooth(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scaled = self.scale.apply(rows)
        with torch.no_grad():
            expected = self.net(torch.tensor(scaled.T[None], dtype=torch.float32))[0].numpy().T
        return ewma(scaled), ewma(scaled - expected)


def judge(net: CausalDenoiser, machines: list[Run], runs: list[Run], floor: np.ndarray) -> list[Figure]:
    """One figure for each machine, each component that differs from it in some of `runs`, and each group.

    Groups: "healthy" (the machine has no defect), "worn" (it has, but the component in question is sound), and
    "another day" (the normal rows are other runs of the machine's own condition only).
    """
    figures = []
    calibration_rows = CALIBRATION_CYCLES * CYCLE
    for machine in machines:
        if len(machine.rows) < calibration_rows + CYCLE or machine.stalled.any():
            continue
        detector = Detector(net, machine.rows[:calibration_rows], floor)
        rest = detector.score(machine.rows[calibration_rows:])
        repeats, anomalies = [], defaultdict(list)
        for run in runs:
            match run.condition.differs_in(machine.condition):
                case [] if run.number != machine.number:
                    repeats.append(detector.score(run.rows))
                case [component] if getattr(machine.condition, component) == getattr(HEALTHY, component):
                    anomalies[component].append(detector.score(run.rows))
        for component, scores in anomalies.items():
            group = "healthy" if machine.condition == HEALTHY else "worn"
            figures.append(Figure(machine.number, component, group, _areas([rest, *repeats], scores)))
            if repeats:
                figures.append(Figure(machine.number, component, "another day", _areas(repeats, scores)))
    return figures


def table(figures: Iterable[Figure]) -> str:
    """Mean areas by group and component, as Markdown."""
    cells = defaultdict(list)
    for figure in figures:
        cells[figure.group, figure.component].append(figure.area)
    lines = ["| machine | component | machines | " + " | ".join(SCORERS) + " |", "|---|---|---|" + "---|" * len(SCORERS)]
    for group in ("healthy", "worn", "another day"):
        for component in COMPONENTS:
            if areas := cells.get((group, component)):
                means = " | ".join(f"{np.mean([area[scorer] for area in areas]):.3f}" for scorer in SCORERS)
                lines.append(f"| {group} | {component} | {len(areas)} | {means} |")
    return "\n".join(lines)


def _areas(normal: list[dict[str, np.ndarray]], anomalous: list[dict[str, np.ndarray]]) -> dict[str, float]:
    return {
        scorer: balanced_average_precision(
            np.concatenate([scores[scorer] for scores in normal]),
            np.concatenate([scores[scorer] for scores in anomalous]),
        )
        for scorer in SCORERS
    }
