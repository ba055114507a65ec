"""Makes the package folder `hydraulic-template`: fits the template and its noise and writes them down."""

from pathlib import Path
from string import Template

from .package import FORMAT, write_manifest
from .recordings import ATTRIBUTION, CHANNELS, LICENCE, read_hydraulic
from .template import fit_noise, fit_template, write_cycle, write_noise

NAME = "hydraulic-template"
VERSION = "1.0.0"
TRAINING_DATA = "ZeMA hydraulic test rig, 60-s load cycles at 1 Hz: all runs in which the rig held its load"
CARD = Path(__file__).with_name("template_card.md")
"""The model card, with places for what is known only after fitting."""


def make_template(data: Path, seed: int, folder: Path) -> None:
    """Fills `folder`; the fit is in closed form, and the seed is only put on record."""
    runs = read_hydraulic(data)
    sound = [run for run in read_hydraulic(data) if not run.stalled.any()]
    template = fit_template(sound)
    write_cycle(template, folder / "cycle.csv")
    write_noise(fit_noise(sound, template), folder / "noise.csv")
    command = f"python -m wheeltapper_training {NAME}"
    card = Template(CARD.read_text(encoding="utf-8")).substitute(
        runs=len(sound), command=command, attribution=ATTRIBUTION
    )
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    tables = {
        "": {
            "format": FORMAT,
            "name": NAME,
            "version": VERSION,
            "kind": "hydraulic-rig",
            "task": "template",
            "licence": LICENCE,
        },
        "training": {
            "data": TRAINING_DATA,
            "data_licence": LICENCE,
            "attribution": ATTRIBUTION,
            "command": command,
            "seed": seed,
            "parameters": template.base.size * (1 + len(template.effects)) + 4 * len(CHANNELS),
        },
        "contract": {"cycle": template.base.shape[0], "cadence": "1s"},
        "contract.channel": [{"name": name, "unit": unit} for name, unit in CHANNELS.items()],
    }
    write_manifest(folder, tables, ["cycle.csv", "noise.csv", "MODEL_CARD.md"])
