"""Paths on boards as a command line names them, `DEVICE:PATH`, and what commands about them share.

DEVICE is a pattern as of `--limit`; `:PATH` is that of every device which `--limit` selects, and
DEVICE alone stands for `DEVICE:/`.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from provision.api import DeviceReport, Fleet, load
from provision.cli.options import (
    Where,
    host_options,
    limit_option,
    manifest_option,
    offline_option,
    secrets_option,
)
from provision.cli.suggestions import about_the_manifest
from provision.core.wording import printable
from provision.errors import UsageError
from provision.model.language import record
from provision.output.fanout import Fanout
from provision.output.setup import open_outputs

_WORD = re.compile(r"(?P<device>[^/\\:]*):(?P<path>/.*|)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:")


@record
class BoardPath:
    """`devices` is "" for those that `--limit` selects; `into` where the path ended in a slash."""

    devices: str
    path: str
    into: bool


def board_path(word: str) -> BoardPath | None:
    """What a word names on boards; None where it names something on this computer. UsageError for a
    path that no board can have."""
    match = _WORD.fullmatch(word)
    if match is None or (sys.platform == "win32" and _DRIVE.match(word)):
        return None
    parts = [part for part in match["path"].split("/") if part]
    if {".", ".."} & set(parts) or "\0" in word:
        raise UsageError(
            f"{printable(word)}: a path on a board has no `.` or `..`",
            hint="write it from the root, as in `kitchen:/lib/app.py`",
        )
    into = match["path"][-1:] in ("", "/")
    return BoardPath(devices=match["device"], path="/" + "/".join(parts), into=into)


def needs_board_path(word: str) -> BoardPath:
    """The same of a word that must be on boards; one without a colon is a device."""
    found = board_path(word if ":" in word else f"{word}:")
    if found is None or (":" not in word and "/" in word):
        raise UsageError(
            f"{printable(word)} names no place on a board",
            hint="write DEVICE:PATH, with a path that begins with /, as in `kitchen:/lib`; "
            ":PATH is that of all devices, or those of --limit",
        )
    return found


@record
class BoardsRequest:
    """What the command line said of manifest and devices, whichever the command."""

    manifest: str | None
    where: Where
    secrets: Path | None
    offline: bool
    verbose: int
    limits: tuple[str, ...] = ()
    forks: int = 0

    def open(self, limit: Sequence[str]) -> Fleet:
        """The fleet of the devices that `limit` selects."""
        return load(
            self.manifest,
            limit=limit,
            secrets=self.secrets,
            offline=self.offline,
            **self.where.as_arguments(),
        )

    def open_named(self, words: Sequence[BoardPath]) -> tuple[Fleet, dict[str, list[BoardPath]]]:
        """The fleet with the devices that are named, and what is named of each."""
        patterns = [word.devices for word in words if word.devices]
        if self.limits and patterns:
            raise UsageError(
                "--limit goes with paths that name no device",
                hint="write :PATH and --limit, or DEVICE:PATH alone",
            )
        every = any(not word.devices for word in words)
        fleet = self.open(self.limits if every else patterns)
        named: dict[str, list[BoardPath]] = {}
        for word in words:
            selected = fleet.loaded.names([word.devices] if word.devices else self.limits)
            for device in selected:
                if word not in named.setdefault(device, []):
                    named[device].append(word)
        return fleet, {name: named[name] for name in fleet.devices if name in named}


def progress_of(fleet: Fleet, request: BoardsRequest) -> Fanout:
    """The outputs of a command that shows on stdout what it found itself; to be closed."""
    return open_outputs(
        stdout=sys.stdout,
        stderr=sys.stderr,
        results=False,
        verbosity=request.verbose,
        redact=fleet.masked,
        suggest=about_the_manifest(click.get_current_context()),
    )


def device_data(report: DeviceReport) -> dict[str, Any]:
    """How a device fared, as plain data."""
    return {
        "device": report.device,
        "outcome": report.outcome,
        "error": report.error.message if report.error else None,
        "code": report.error.code if report.error else None,
    }


def one_device_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of a command about one device that it names, gathered into its `request`."""
    verbose = click.option(
        "-v",
        "--verbose",
        count=True,
        help="Show more; -vv shows the whole conversation with each board.",
    )

    @functools.wraps(function)
    def gathered(**arguments: Any) -> int:
        names = [each.name for each in fields(BoardsRequest) if each.name in arguments]
        request = BoardsRequest(**{name: arguments.pop(name) for name in names})
        return function(request=request, **arguments)

    return manifest_option(host_options(secrets_option(offline_option(verbose(gathered)))))


def file_options(function: Callable[..., int]) -> Callable[..., int]:
    """The same for a command about files of any devices."""
    forks = click.option(
        "--forks",
        type=click.IntRange(min=0),
        default=0,
        show_default="all",
        help="How many devices to work on at once.",
    )
    return limit_option(forks(one_device_options(function)))
