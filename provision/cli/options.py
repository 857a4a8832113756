"""The options that commands about a manifest share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def manifest_argument(function: F) -> F:
    return click.argument("manifest", required=False, metavar="[MANIFEST]")(function)


def limit_option(function: F) -> F:
    return click.option(
        "--limit",
        "-l",
        "limits",
        multiple=True,
        metavar="PATTERNS",
        help="Only these devices: names, globs, ranges, @group, !exclusion; comma separated.",
    )(function)


def secrets_option(function: F) -> F:
    return click.option(
        "--secrets",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A secrets file whose values replace those of secrets.yaml beside the manifest.",
    )(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")(function)


def offline_option(function: F) -> F:
    return click.option(
        "--offline", is_flag=True, help="Use no network, only what is cached or vendored."
    )(function)
