"""Command line: `python -m wheeltapper_training PACKAGE --seed N`."""

import argparse
import os
from pathlib import Path

import torch

from .denoiser_package import make_denoiser
from .recordings import read_hydraulic
from .template_package import make_template

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = {"hydraulic-dae": make_denoiser, "hydraulic-template": make_template}


def main() -> None:
    parser = argparse.ArgumentParser(prog="wheeltapper_training", description="Makes a package folder from recordings.")
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("WHEELTAPPER_DATA", REPOSITORY / ".." / "shared" / "data")),
        help="folder of the recordings (default: $WHEELTAPPER_DATA, else ../shared/data beside the repository)",
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "models", help="where the package folder is put")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = arguments.out / arguments.package
    folder.mkdir(parents=True, exist_ok=True)
    PACKAGES[arguments.package](read_hydraulic(arguments.data), arguments.seed, folder)


if __name__ == "__main__":
    main()
