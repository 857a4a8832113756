"""The chips that virtual boards have: each family's models, in one table."""

from __future__ import annotations

from collections.abc import Mapping

from provision.model.chip import Chip
from provision.sim.chip.model import ChipModel
from provision.sim.esp.model import MODELS as ESP

MODELS: Mapping[Chip, ChipModel] = {**ESP}
