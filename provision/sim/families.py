"""The chips that virtual boards have: each family's models, in one table."""

from __future__ import annotations

from collections.abc import Mapping

from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.sim.chip.model import ChipModel
from provision.sim.esp.model import MODELS as ESP
from provision.sim.rp2.model import MODELS as RP2

MODELS: Mapping[Chip, ChipModel] = {**ESP, **RP2}


def model_of(chip: Chip) -> ChipModel:
    """The model of a chip; SimulatorError where its family has none."""
    if chip not in MODELS:
        raise SimulatorError(
            f"there are no virtual boards with the {chip.label}",
            hint="choose one of " + ", ".join(known.name for known in MODELS),
        )
    return MODELS[chip]
