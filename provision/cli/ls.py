"""`provision ls`: list the files of boards."""

from __future__ import annotations

import json
from typing import Any

import click

from provision import api
from provision.cli.board_paths import (
    BoardsRequest,
    device_data,
    file_options,
    needs_board_path,
    progress_of,
)
from provision.cli.device_names import board_paths
from provision.cli.options import json_option
from provision.core.wording import printable


@click.command(name="ls")
@click.argument(
    "places", nargs=-1, metavar="[DEVICE[:PATH] | :PATH]...", shell_complete=board_paths
)
@click.option("-R", "--recursive", is_flag=True, help="List what lies below as well.")
@click.option("--sha256", "hashed", is_flag=True, help="Show the sha256 of each file.")
@file_options
@json_option
def command(
    *,
    places: tuple[str, ...],
    recursive: bool,
    hashed: bool,
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """List files on boards: their sizes and names, folders with a slash at their end.

    DEVICE is a device of the manifest, or a pattern as of --limit; :PATH is that of every device,
    or of those that --limit selects. What is mounted on a board, as a card, is named, and listed
    where PATH is it or lies in it. Changes nothing.
    """
    words = [needs_board_path(word) for word in places or (":/",)]
    fleet, named = request.open_named(words)
    with progress_of(fleet, request) as outputs:
        report, found = api.ls(
            fleet,
            {device: [each.path for each in of_device] for device, of_device in named.items()},
            recursive=recursive,
            hashed=hashed,
            forks=request.forks,
            on_event=outputs.handle,
        )
    if as_json:
        click.echo(json.dumps([_data(item, found.get(item.device)) for item in report.devices]))
        return report.exit_code()
    for item in report.devices:
        if item.device in found:
            if len(report.devices) > 1:
                click.echo(f"{item.device}:")
            for line in _lines(found[item.device], hashed=hashed):
                click.echo(f"  {line}" if len(report.devices) > 1 else line)
    return report.exit_code()


def _data(report: api.DeviceReport, entries: tuple[api.BoardEntry, ...] | None) -> dict[str, Any]:
    return {
        **device_data(report),
        "entries": None
        if entries is None
        else [
            {
                "path": entry.path,
                "kind": entry.kind,
                "size": entry.size if entry.kind == "file" else None,
                "sha256": entry.sha256,
            }
            for entry in entries
        ],
    }


def _lines(entries: tuple[api.BoardEntry, ...], *, hashed: bool) -> list[str]:
    width = max((len(str(entry.size)) for entry in entries), default=1)
    lines = []
    for entry in entries:
        name = printable(entry.path)
        match entry.kind:
            case "file":
                digest = f"  {entry.sha256}" if hashed else ""
                lines.append(f"{entry.size:>{width}}{digest}  {name}")
            case "directory":
                lines.append(f"{'-':>{width}}{' ' * 66 if hashed else ''}  {name}/")
            case "mount":
                note = "  (another filesystem)"
                lines.append(f"{'-':>{width}}{' ' * 66 if hashed else ''}  {name}/{note}")
    return lines
