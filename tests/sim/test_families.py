"""Which chips have virtual boards."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import CHIPS
from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.sim.families import MODELS, model_of


def test_every_chip_of_espressif_that_is_provisioned_has_a_model() -> None:
    assert {model_of(chip).facts.chip for chip in CHIPS} == set(CHIPS)  # type: ignore[attr-defined]


def test_a_chip_without_a_model_is_refused_by_name() -> None:
    with pytest.raises(SimulatorError, match="no virtual boards with the Z80") as caught:
        model_of(Chip(name="z80", label="Z80", family="zilog"))
    assert all(chip.name in str(caught.value.hint) for chip in MODELS)
