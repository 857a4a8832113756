"""The JSON schemas that ship with the package, read from wherever it is installed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def fleet_schema() -> dict[str, Any]:
    """`schemas/fleet.schema.json`, parsed."""
    schema: dict[str, Any] = json.loads(schema_text("fleet"))
    return schema


@cache
def config_schema() -> dict[str, Any]:
    """`schemas/config.schema.json`, parsed."""
    schema: dict[str, Any] = json.loads(schema_text("config"))
    return schema


def schema_text(name: str) -> str:
    """A schema as it is written: "fleet" or another of `schemas/`."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "schemas" / f"{name}.schema.json"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    # Not installed from a wheel: the schemas stand beside the package in the repository.
    beside = package.parent / "schemas" / f"{name}.schema.json"
    return beside.read_text(encoding="utf-8")
