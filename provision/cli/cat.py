"""`provision cat`: print files of boards."""

from __future__ import annotations

import base64
import json
import sys
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
from provision.core.wording import harmless, printable
from provision.errors import UsageError


@click.command(name="cat")
@click.argument(
    "places", nargs=-1, required=True, metavar="DEVICE:PATH | :PATH...", shell_complete=board_paths
)
@file_options
@json_option
def command(
    *,
    places: tuple[str, ...],
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """Print files that are on boards, each read whole and verified before.

    The manifest's secrets are masked in what is printed, wherever that goes; `provision cp` copies
    a file as it is. DEVICE and :PATH are those of `provision ls`. Changes nothing.
    """
    words = [needs_board_path(word) for word in places]
    for word in words:
        if word.path == "/":
            raise UsageError(
                "name a file on the board, as in `provision cat kitchen:/main.py`",
                hint="`provision ls` lists what there is",
            )
    fleet, named = request.open_named(words)
    with progress_of(fleet, request) as outputs:
        report, found = api.cat(
            fleet,
            {device: [each.path for each in of_device] for device, of_device in named.items()},
            forks=request.forks,
            on_event=outputs.handle,
        )
    files = [
        (item.device, path, data)
        for item in report.devices
        for path, data in found.get(item.device, {}).items()
    ]
    if as_json:
        click.echo(json.dumps([_data(item, found.get(item.device)) for item in report.devices]))
        return report.exit_code()
    several = len(report.devices) > 1 or len(files) > 1
    for device, path, file in files:
        if several:
            click.echo(f"==> {device}:{printable(path)} <==")
        data = file.data
        if sys.stdout.isatty():
            click.echo(fleet.masked(harmless(data.decode("utf-8", "replace"))), nl=False)
        else:
            click.echo(data, nl=False)
        if several and not data.endswith(b"\n"):
            click.echo()
        if file.masked:
            click.echo(
                f"{device}: a secret in {printable(path)} was masked; `provision cp` copies the "
                "file as it is",
                err=True,
            )
    return report.exit_code()


def _data(report: api.DeviceReport, files: dict[str, api.ShownFile] | None) -> dict[str, Any]:
    return {
        **device_data(report),
        "files": None
        if files is None
        else [{"path": path, **_content(file)} for path, file in files.items()],
    }


def _content(file: api.ShownFile) -> dict[str, Any]:
    """As text, or as base64 what is none."""
    try:
        return {"text": file.data.decode(), "masked": file.masked}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(file.data).decode(), "masked": file.masked}
