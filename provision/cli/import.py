"""`provision import`: make the files of a board the project's own."""  # noqa: N999

from __future__ import annotations

import re
from contextlib import ExitStack

import click

from provision import api
from provision.cli.board_paths import BoardsRequest, one_device_options
from provision.cli.device_names import devices
from provision.cli.fleet_command import FleetCommand, run_command
from provision.core.wording import plural, printable
from provision.errors import NoAnswer, UsageError

_WINDOWS_PORT = re.compile(r"com\d+", re.IGNORECASE)


@click.command(name="import")
@click.argument("place", metavar="DEVICE|PORT", shell_complete=devices)
@click.option("--as", "name", metavar="NAME", help="What the board on PORT is called from now on.")
@click.option("--to", "folder", metavar="DIR",
              help="The folder for its files, below that of the manifest, in place of one of its "
                   "name.")  # fmt: skip
@one_device_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def command(
    *,
    place: str,
    name: str | None,
    folder: str | None,
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """Copy the files of a board, each verified, into a folder beside the manifest, and have the
    manifest put them onto the board from now on.

    The board is that of DEVICE, or the one on PORT (a path or a URL), which --as gives a name: it
    is added to the manifest first, as by `provision init --walk`. Files that the manifest has
    already, and those of packages in fleet.lock, are not copied. Changes nothing on the board.
    """
    with ExitStack() as stack:
        imports: list[api.BoardImport] = []

        def fleet() -> api.Fleet:
            if name is not None:
                _add(place, name, request)
            elif "/" in place or _WINDOWS_PORT.fullmatch(place):
                raise UsageError(
                    f"{printable(place)} is a port, and its board has no name yet",
                    hint=f"give it one: `provision import {printable(place)} --as NAME`",
                )
            opened = request.open([name or place])
            if len(opened.devices) != 1:
                raise UsageError(
                    f"{place} is more than one device", hint="import one device at a time"
                )
            imports.append(api.BoardImport(opened, folder, secrets=request.secrets))
            stack.callback(imports[0].abandon)
            return opened

        def run(command: FleetCommand) -> api.RunReport:
            return imports[0].fetch(on_event=command.outputs.handle, cancel=command.cancel)

        code = run_command(fleet, run, json=as_json, verbose=request.verbose)
        if code == 0:
            _tell(imports[0].finish())
        return code


def _add(port: str, name: str, request: BoardsRequest) -> None:
    """Add the board on a port to the manifest, unless it is there by this very name, as after an
    import that was cut short."""
    naming = api.naming(request.manifest)
    (found,) = [api.ask(one) for one in api.ports_named([port])]
    if found.actual is None:
        raise NoAnswer(
            f"{printable(port)}: {found.error}",
            hint="check that the board is plugged in there, as `provision discover` lists it, and "
            "that the cable carries data; press RESET, and run again",
        )
    known = naming.known_as(found)
    if known == name:
        return
    if known is not None:
        raise UsageError(
            f"the board on {printable(port)} is {known} already",
            hint=f"`provision import {known}` imports its files",
        )
    fault = naming.name_fault(name)
    if fault is not None:
        raise UsageError(fault, hint="give it another with --as NAME")
    naming.add(name, found)
    naming.write()
    click.echo(f"{name} is in {naming.path}", err=True)


def _tell(imported: api.Imported) -> None:
    for path, why in imported.left:
        click.echo(f"not imported: {printable(path)}: {why}", err=True)
    if imported.packages:
        click.echo(f"packages: {', '.join(map(printable, imported.packages))}", err=True)
    if imported.folder is None:
        click.echo("no files to import", err=True)
        return
    where = printable(str(imported.folder))
    click.echo(f"{plural(len(imported.files), 'file')} in {where}, and in the manifest", err=True)
    click.echo(
        "warning: files of boards may hold passwords and keys; look at them before you commit",
        err=True,
    )
