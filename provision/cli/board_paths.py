"""Paths on boards as a command line names them, `DEVICE:PATH`, and what commands about them share.

DEVICE is a pattern as of `--limit`; `:PATH` is that of every device which `--limit` selects, and
DEVICE alone stands for `DEVICE:/`.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from provision.api import Fleet, load
from provision.cli.options import limit_option, offline_option, secrets_option
from provision.core.wording import printable
from provision.errors import UsageError

_WORD = re.compile(r"(?P<device>[^/\\:]*):(?P<path>/.*|)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, kw_only=True, slots=True)
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


def open_named(
    words: Sequence[BoardPath],
    manifest: str | None,
    *,
    limits: Sequence[str],
    secrets: Path | None,
    offline: bool,
) -> tuple[Fleet, dict[str, list[BoardPath]]]:
    """The fleet with the devices that are named, and what is named of each."""
    patterns = [word.devices for word in words if word.devices]
    if limits and patterns:
        raise UsageError(
            "--limit goes with paths that name no device",
            hint="write :PATH and --limit, or DEVICE:PATH alone",
        )
    every = any(not word.devices for word in words)
    fleet = load(manifest, limit=limits if every else patterns, secrets=secrets, offline=offline)
    named: dict[str, list[BoardPath]] = {}
    for word in words:
        selected = fleet.loaded.names([word.devices] if word.devices else limits)
        for device in selected:
            if word not in named.setdefault(device, []):
                named[device].append(word)
    return fleet, {name: named[name] for name in fleet.devices if name in named}


def one_device_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of a command about one device that it names."""
    manifest = click.option(
        "--manifest",
        "-m",
        metavar="FILE",
        help="The manifest that has the devices, in place of fleet.yaml.",
    )
    verbose = click.option(
        "-v",
        "--verbose",
        count=True,
        help="Show more; -vv shows the whole conversation with each board.",
    )
    wrapped: Callable[..., Any] = functools.wraps(function)(function)
    return manifest(secrets_option(offline_option(verbose(wrapped))))


def file_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of commands about files of any devices."""
    forks = click.option(
        "--forks",
        type=click.IntRange(min=0),
        default=0,
        show_default="all",
        help="How many devices to work on at once.",
    )
    return limit_option(forks(one_device_options(function)))
