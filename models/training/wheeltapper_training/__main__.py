"""Command line: `python -m wheeltapper_training PACKAGE`, or `own FILE...` for any machine."""

import argparse
import os
import shlex
import sys
from pathlib import Path

import torch

from .denoiser_package import make_denoiser, make_half_denoiser
from .generator_family import TRAINERS
from .generator_figures import add_figures, print_figures
from .generator_package import make_generator
from .generator_steps import add_steps, print_steps
from .own_package import Order, make_own
from .own_recording import RecordingError, Wishes, read_machine
from .template_package import make_template
from .tennessee_package import make_tennessee

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = {
    "hydraulic-dae": make_denoiser,
    "hydraulic-dae-half": make_half_denoiser,
    "hydraulic-template": make_template,
    "tennessee-eastman-dae": make_tennessee,
} | {name: make_generator(name) for name in TRAINERS}
UNITS_OF_TIME = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="wheeltapper_training", description="Makes model packages from recordings.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="PACKAGE")
    for name, make in SHIPPED.items():
        shipped = commands.add_parser(name, help=f"the package {name}")
        add_seed(shipped)
        add_data(shipped)
        shipped.add_argument(
            "--out", type=Path, default=REPOSITORY / "models", help="where the package folder is put"
        )
        shipped.set_defaults(run=make_shipped, name=name, make=make)
    figures = commands.add_parser("generator-figures", help="how good the generators are on runs that they have not seen")
    add_data(figures)
    add_figures(figures)
    figures.set_defaults(run=print_figures)
    steps = commands.add_parser("generator-steps", help="what fewer steps of a sampler cost the diffusion models")
    add_data(steps)
    add_steps(steps)
    steps.set_defaults(run=print_steps)
    own = commands.add_parser("own", help="a package and a kind for any machine, from your own recordings")
    add_own(own)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        arguments.run(arguments)
    except RecordingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=7, help="of the weights and the corruption (default: 7)")


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("WHEELTAPPER_DATA", REPOSITORY / ".." / "shared" / "data")),
        help="folder of the recordings (default: $WHEELTAPPER_DATA, else ../shared/data beside the repository)",
    )


def add_own(own: argparse.ArgumentParser) -> None:
    own.add_argument("files", type=Path, nargs="+", metavar="FILE", help="recordings of sound operation, CSV or CSV.gz")
    own.add_argument("--kind", required=True, type=kind_name, help="a name for this kind of machine, such as bench-press")
    own.add_argument("--out", type=Path, required=True, help="folder that gets models/ and kinds/")
    own.add_argument("--time", help="the column that tells the time (default: one that is named like it)")
    own.add_argument("--cadence", type=duration, help="time between two rows, such as 1s, where no column tells it")
    own.add_argument("--keep", type=pair, metavar="COLUMN=VALUE", help="learns only from rows with this value")
    own.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="a column that is no channel")
    own.add_argument("--context", action="append", default=[], metavar="COLUMN", help="seen by the network, not judged")
    own.add_argument("--unit", action="append", default=[], type=pair, metavar="COLUMN=UNIT")
    own.add_argument("--description", help="of the kind (default: its name)")
    own.add_argument("--licence", default="proprietary", help="of the recordings and the weights")
    own.add_argument("--attribution", default="the owner of the recordings")
    add_seed(own)
    own.set_defaults(run=run_own)


def make_shipped(arguments: argparse.Namespace) -> None:
    folder = arguments.out / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    arguments.make(arguments.data, arguments.seed, folder)


def run_own(arguments: argparse.Namespace) -> None:
    wishes = Wishes(tuple(arguments.ignore), arguments.time, arguments.keep, arguments.cadence)
    machine = read_machine(arguments.files, wishes)
    order = Order(
        kind=arguments.kind,
        kinds=arguments.out / "kinds",
        models=arguments.out / "models",
        command=f"python -m wheeltapper_training {shlex.join(sys.argv[1:])}",
        seed=arguments.seed,
        description=arguments.description or arguments.kind,
        licence=arguments.licence,
        attribution=arguments.attribution,
        context=tuple(arguments.context),
        units=dict(arguments.unit),
    )
    for name in {*order.context, *order.units} - set(machine.channels):
        raise RecordingError(f"--context and --unit: there is no channel {name!r}; they are {machine.channels}")
    print("\n".join(machine.notes))
    print(f"{machine.rows} rows in {len(machine.stretches)} stretches, {len(machine.channels)} channels; training")
    print(make_own(machine, order))
    print(
        f"\nTry it:     wheeltapper score RECORDING --kind {order.kind} --kinds {arguments.out}/kinds "
        f"--models {arguments.out}/models --allow-unsigned"
        f"\nInstall it: copy {arguments.out}/kinds and {arguments.out}/models to the folders that `kinds` and `models` name in the "
        "configuration, and set `allow_unsigned = true`"
    )


def kind_name(text: str) -> str:
    if not text or len(text) > 100 or not all(letter.isalnum() or letter in "-_" for letter in text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected letters, digits, - and _, such as bench-press")
    return text


def pair(text: str) -> tuple[str, str]:
    name, sign, value = text.rpartition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r}: expected COLUMN=VALUE")
    return name, value


def duration(text: str) -> float:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        seconds = float(number) * UNITS_OF_TIME[text[len(number):]]
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number and ms, s, m, h or d, such as 1s") from error
    if seconds < 1e-3:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a millisecond at least")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
