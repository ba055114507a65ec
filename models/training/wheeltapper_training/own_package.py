"""Makes a package and a kind from recordings of any machine: trains a denoiser, judges it on rows held out, installs it."""

from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import numpy as np
import torch

from .causal_net import CausalDenoiser
from .corruption import Corruption
from .own_recording import Machine, Stretch
from .package import Identity, write_denoiser
from .scaling import CALIBRATION_ROWS, Scale, quantile_spread
from .train import Lesson, Schedule, fit

KERNEL = 3
DILATIONS = (1, 2, 4, 8, 16)
WIDTHS = (24, 64)
"""Least and largest; between them as many as there are channels."""
NOISE = 0.6
"""Of the corruption, in scaled units."""
HELD_OUT = 0.2
LEAST_DRIFT = 0.1
LEAST_SPREAD = 1e-9
"""Of a channel, as a part of its largest value; below it the last digit of a converter would be learned."""
STEP = 5.0
"""In scaled units: what the judged net is to remove."""
SEEN = 32
"""Rows after its onset that are judged."""
VECTOR_ROWS_BEYOND_WINDOW = 40


@dataclass(frozen=True)
class Order:
    """What the command line says of the package."""

    kind: str
    kinds: Path
    models: Path
    """The folders that get the kind and the package."""
    command: str
    seed: int
    description: str
    licence: str
    attribution: str
    context: tuple[str, ...] = ()
    units: dict[str, str] = field(default_factory=dict)
    card: Path = Path(__file__).with_name("own_card.md")
    """The model card, with places for what is known only after training."""


def make_own(machine: Machine, order: Order) -> str:
    """Fills `models/<kind>-dae` and `kinds/<kind>.toml`, and returns what to know of them."""
    torch.manual_seed(order.seed)
    floor = floor_of(machine)
    learned, held_out = split(machine)
    width = int(np.clip(len(machine.channels), *WIDTHS))
    net = CausalDenoiser(len(machine.channels), width, KERNEL, DILATIONS)
    lessons = [lesson_of(stretch, floor) for stretch in learned]
    corruption = Corruption(torch.full((len(floor),), NOISE), torch.tensor(drift_of(lessons), dtype=torch.float32))
    fit(net, lessons, corruption, Schedule(), order.seed)
    net.eval()
    figures = judge(net, held_out, floor, machine.channels)
    write(machine, order, net, floor, figures)
    return figures


def floor_of(machine: Machine) -> np.ndarray:
    """Least spread per channel: half of the median over the stretches, and never nothing."""
    spreads = [quantile_spread(stretch.rows[:CALIBRATION_ROWS]) for stretch in machine.stretches]
    every = np.concatenate([stretch.rows for stretch in machine.stretches])
    seldom = 0.1 * every.std(axis=0)
    return np.maximum(np.maximum(0.5 * np.median(spreads, axis=0), seldom), LEAST_SPREAD * np.abs(every).max(axis=0))


def split(machine: Machine) -> tuple[list[Stretch], list[Stretch]]:
    """The rows to learn from, and the last fifth of each stretch that is long enough to spare it."""
    learned, held_out = [], []
    shortest = 2 * (1 + (KERNEL - 1) * sum(DILATIONS) + Schedule.scored)
    for stretch in machine.stretches:
        kept = int((1 - HELD_OUT) * len(stretch.rows))
        if len(stretch.rows) - kept >= shortest:
            held_out.append(Stretch(stretch.source, stretch.rows[kept:]))
            stretch = Stretch(stretch.source, stretch.rows[:kept])
        learned.append(stretch)
    return learned, held_out


def lesson_of(stretch: Stretch, floor: np.ndarray) -> Lesson:
    """A stretch scaled by its own first rows, as a gateway would; what is expected of it is what it shows."""
    scaled = Scale.calibrate(stretch.rows[:CALIBRATION_ROWS], floor).apply(stretch.rows)
    return Lesson(scaled, scaled)


def drift_of(lessons: list[Lesson]) -> np.ndarray:
    """How far each channel's level moves over a stretch and between them, [channels], in scaled units."""
    length = 1 + (KERNEL - 1) * sum(DILATIONS)
    levels = [
        lesson.measured[start:start + length].mean(axis=0)
        for lesson in lessons
        for start in range(0, len(lesson.measured) - length + 1, length)
    ]
    return np.maximum(np.std(levels, axis=0), LEAST_DRIFT)


def judge(net: CausalDenoiser, held_out: list[Stretch], floor: np.ndarray, channels: list[str]) -> str:
    """How much of each channel's change over a window the net foresees in rows that it has not learned, as Markdown."""
    if not held_out:
        return "No stretch was long enough to hold rows back: the network is not judged. Record longer stretches."
    left, whole = np.zeros(len(channels)), np.zeros(len(channels))
    for stretch in held_out:
        scaled = lesson_of(stretch, floor).measured
        # A reading is hidden behind its own mean; what the other channels and the past tell of it is left.
        for place in range(len(channels)):
            blind = scaled.copy()
            blind[net.window:, place] += STEP
            with torch.no_grad():
                expected = net(torch.tensor(blind.T[None], dtype=torch.float32))[0, place, net.window:].numpy()
            left[place] += np.square(expected - scaled[net.window:, place])[:SEEN].sum()
            whole[place] += STEP**2 * len(expected[:SEEN])
    removed = 1 - np.sqrt(left / whole)
    lines = ["| channel | of a step of 5 standard deviations removed |", "|---|---|"]
    lines += [f"| {name} | {max(share, 0.0):.0%} |" for name, share in zip(channels, removed, strict=True)]
    return "\n".join(lines)


def write(machine: Machine, order: Order, net: CausalDenoiser, floor: np.ndarray, figures: str) -> None:
    """The package folder and the kind."""
    name = f"{order.kind}-dae"
    folder = order.models / name
    folder.mkdir(parents=True, exist_ok=True)
    cadence = duration(machine.cadence)
    data = f"{machine.rows} rows of sound operation, {len(machine.stretches)} stretches, a row every {cadence}"
    card = Template(order.card.read_text(encoding="utf-8")).substitute(
        name=name,
        kind=order.kind,
        data=data,
        channels=len(machine.channels),
        past=net.window - 1,
        parameters=net.parameter_count,
        command=order.command,
        licence=order.licence,
        attribution=order.attribution,
        figures=figures,
    )
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    identity = Identity(
        name=name,
        version="1.0.0",
        kind=order.kind,
        licence=order.licence,
        data=data,
        data_licence=order.licence,
        attribution=order.attribution,
        command=order.command,
        seed=order.seed,
        cadence=cadence,
    )
    channels = [
        {"name": channel, "unit": order.units.get(channel, ""), "floor": float(f"{least:.6g}")}
        for channel, least in zip(machine.channels, floor, strict=True)
    ]
    write_denoiser(folder, identity, net, channels, vector_inputs(machine, net, floor))
    order.kinds.mkdir(parents=True, exist_ok=True)
    (order.kinds / f"{order.kind}.toml").write_text(kind_of(machine, order, cadence), encoding="utf-8")


def vector_inputs(machine: Machine, net: CausalDenoiser, floor: np.ndarray) -> list[np.ndarray]:
    """Scaled inputs [channels, time]: sound rows, and the same with a channel that has stepped."""
    time = net.window + VECTOR_ROWS_BEYOND_WINDOW
    longest = max(machine.stretches, key=lambda stretch: len(stretch.rows))
    sound = lesson_of(longest, floor).measured[:time]
    stepped = sound.copy()
    stepped[len(sound) // 2:, 0] += STEP
    return [sound.T, stepped.T]


def kind_of(machine: Machine, order: Order, cadence: str) -> str:
    """The kind's file: edit limits and descriptions there, not names and cadence."""
    blocks = [
        "\n".join([
            "# Made with the network of the same kind; `cadence` and the channels' names and units must stay as they are.",
            f"name = {_text(order.kind)}",
            f"description = {_text(order.description)}",
            f"cadence = {_text(cadence)}",
            f'model = {_text(order.kind + "-dae")}',
        ])
    ]
    for channel in machine.channels:
        lines = ["[[channel]]", f"name = {_text(channel)}"]
        if unit := order.units.get(channel):
            lines.append(f"unit = {_text(unit)}")
        if channel in order.context:
            lines.append('role = "context"')
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def duration(seconds: float) -> str:
    """Seconds as the daemon writes a duration."""
    for unit, size in (("h", 3600.0), ("m", 60.0), ("s", 1.0)):
        if seconds >= size and abs(seconds / size - round(seconds / size)) < 1e-6:
            return f"{round(seconds / size)}{unit}"
    return f"{max(round(1000 * seconds), 1)}ms"


def _text(value: str) -> str:
    """A TOML string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
