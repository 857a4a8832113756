"""`provision cp`: copy files from boards, and to them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from provision import api
from provision.cli.board_paths import BoardPath, BoardsRequest, board_path, file_options
from provision.cli.device_names import board_paths
from provision.cli.fleet_command import FleetCommand, run_command
from provision.core.wording import printable
from provision.errors import UsageError
from provision.model.board_path import LONGEST_PATH, path_bytes

_HINT = "as in `provision cp kitchen:/data .` or `provision cp app.py kitchen:/`"


@click.command(name="cp")
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE... DEST", shell_complete=board_paths
)
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def command(
    *,
    sources: tuple[str, ...],
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """Copy files and whole folders from boards to this computer, or to boards.

    DEVICE:PATH is a place on a board, as of `provision ls`, and anything else one on this computer:
    `cp kitchen:/data .`, `cp app.py kitchen:/lib/`. From several devices each gets a folder of its
    name. Every file is verified by its sha256 and then renamed into place. To a board go the files
    that it does not have already, in one transfer; what the manifest manages there, the next
    `provision apply` writes anew.
    """
    if len(sources) < 2:
        raise UsageError("name what is to be copied, and where to", hint=_HINT)
    places = [board_path(word) for word in sources]
    *froms, to = places
    upwards = to is None and all(froms)
    if not upwards and (to is None or any(froms)):
        raise UsageError("one side of a copy is boards, the other this computer", hint=_HINT)
    on_boards = [each for each in (froms if upwards else [to]) if each is not None]
    named: dict[str, list[BoardPath]] = {}
    contents: dict[str, dict[str, bytes]] = {}

    def fleet() -> api.Fleet:
        opened, found = request.open_named(on_boards)
        named.update(found)
        if not upwards:
            contents.update({name: _contents(sources[:-1], to) for name in named})
        return opened

    def run(command: FleetCommand) -> api.RunReport:
        if not upwards:
            return api.send(
                command.fleet,
                contents,
                forks=request.forks,
                operator=command.operator,
                on_event=command.outputs.handle,
                cancel=command.cancel,
            )
        return api.fetch(
            command.fleet,
            {name: [each.path for each in paths] for name, paths in named.items()},
            Path(sources[-1]),
            into=sources[-1].endswith(("/", os.sep)),
            forks=request.forks,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_command(fleet, run, json=as_json, verbose=request.verbose)


def _contents(words: Sequence[str], to: BoardPath | None) -> dict[str, bytes]:
    """What is to be at which path of a board."""
    assert to is not None
    contents: dict[str, bytes] = {}
    for word in words:
        source = Path(word)
        target = to.path
        if to.into or len(words) > 1:
            target = f"{target.rstrip('/')}/{source.resolve().name}"
        for below, file in _files(source):
            path = f"{target}/{below}" if below else target
            if len(path_bytes(path)) > LONGEST_PATH:
                raise UsageError(
                    f"{printable(path)}: a path on a board has at most {LONGEST_PATH} bytes"
                )
            if path in contents:
                raise UsageError(f"two files are to be {printable(path)}")
            try:
                contents[path] = file.read_bytes()
            except OSError as error:
                raise UsageError(
                    f"{printable(str(file))} cannot be read: {error.strerror or error}",
                    hint="check its name and permissions",
                ) from error
    return contents


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """What lies below a source with its name there, "" for the source itself. Links to files are
    followed, links to folders are not."""
    if not source.is_dir():
        if source.exists() and not source.is_file():
            raise UsageError(f"{printable(str(source))} is no file", hint=_HINT)
        yield "", source
        return
    found = False
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                found = True
                yield file.relative_to(source).as_posix(), file
    if not found:
        raise UsageError(f"there is no file in {printable(str(source))}", hint=_HINT)
