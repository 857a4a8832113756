"""`provision sim`: bring up virtual boards, and have things go wrong with them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from provision.cli import sim_firmware
from provision.cli.options import json_option, limit_option, secrets_option
from provision.cli.problems import report_error
from provision.core.wording import aligned, size_code
from provision.errors import SimulatorError, UsageError
from provision.sim import client, paths
from provision.sim.families import MODELS, model_of
from provision.sim.setup import NAME, SCHEME, BoardSetup, parse_address

_CHIPS = ", ".join(chip.name for chip in MODELS)
_COLUMNS = ("name", "chip", "flash", "mac", "serial", "mode", "port", "pty", "rfc2217", "volume")


@click.group("sim")
def command() -> None:
    """Start virtual boards, press their buttons, inject faults."""


command.add_command(sim_firmware.command)


@command.command("up")
@click.argument("words", nargs=-1, metavar="[MANIFEST | NAME…]")
@click.option("--chip", default=None, help=f"Chip of the boards named: {_CHIPS}.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the sim:// address: flash=8MB, wire=on … Repeatable.",
)
@limit_option
@secrets_option
@click.option("--pty/--no-pty", default=None, help="Give each board a pseudo-terminal.")
@click.option(
    "--rfc2217/--no-rfc2217", default=None, help="Serve each board's port by RFC 2217 on 127.0.0.1."
)
@json_option
def up(  # noqa: PLR0917  # click passes them by name
    words: Sequence[str],
    chip: str | None,
    settings: Sequence[str],
    limits: Sequence[str],
    secrets: Path | None,
    pty: bool | None,
    rfc2217: bool | None,
    as_json: bool,
) -> None:
    """Start virtual boards; those that already run are left as they are.

    Name them and give --chip; or give a manifest (default: fleet.yaml) to start the boards behind
    its sim:// ports, with chip, flash size and wiring from their board profiles. A manifest's
    boards get a pseudo-terminal and an RFC 2217 port too.
    """
    given = dict(_pair(setting) for setting in settings)
    if chip:
        given["chip"] = chip
    manifest = _manifest_among(words)
    boards = (
        {_checked(name): given for name in words}
        if manifest is None
        else {name: {**query, **given} for name, query in _boards_of(manifest, limits, secrets)}
    )
    carriers = {
        "pty": manifest is not None if pty is None else pty,
        "rfc2217": manifest is not None if rfc2217 is None else rfc2217,
    }
    for name, query in boards.items():
        client.ensure(name, query)
        for carrier, wanted in carriers.items():
            if wanted:
                client.request(name, carrier)
    statuses = [client.request(name, "status") for name in boards]
    problem = _no_micropython()
    _show([{**each, "problem": each["problem"] or problem} for each in statuses], as_json)


def _no_micropython() -> str | None:
    """Why no virtual board will run a program; told before one is flashed, and waited for."""
    from provision.sim.app.interpreter import find_library

    try:
        find_library()
    except SimulatorError as error:
        return f"{error.message} ({error.hint})"
    return None


@command.command("list")
@json_option
def list_boards(as_json: bool) -> None:
    """List all virtual boards, running or stopped."""
    _show([_status(name) for name in _all_names()], as_json)


@command.command("rm")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--all", "everything", is_flag=True, help="All virtual boards.")
@click.option("--keep", is_flag=True, help="Only stop them; keep their flash.")
def remove(names: Sequence[str], everything: bool, keep: bool) -> None:
    """Stop virtual boards and delete their state."""
    if not names and not everything:
        raise UsageError("no virtual board is named", hint="name one or more, or give --all")
    failed: SimulatorError | None = None
    for name in names or _all_names():
        try:
            _remove(_checked(name), keep=keep)
        except SimulatorError as error:  # the others go all the same
            if failed is not None:
                report_error(failed)
            failed = error
    if failed is not None:
        raise failed


def _remove(name: str, *, keep: bool) -> None:
    directory = paths.directory(name).resolve()
    if not directory.is_dir():
        raise client.NoSuchBoard(
            f"there is no virtual board {name!r}", hint="`provision sim list` shows all of them"
        )
    client.stop(name)
    if keep:
        return
    for entry in paths.home().iterdir():
        if entry.is_symlink() and entry.resolve() == directory:
            entry.unlink()
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise SimulatorError(
            f"the virtual board {name!r} cannot be removed: {error.filename}: {error.strerror}",
            hint=f"remove the folder {directory}",
        ) from error


@command.command("press")
@click.argument("name")
@click.argument("buttons", nargs=-1, required=True, type=click.Choice(["boot", "reset"]))
@click.option("--hold", is_flag=True, help="Keep them pressed.")
@click.option("--release", is_flag=True, help="Only release them.")
def press(name: str, buttons: Sequence[str], hold: bool, release: bool) -> None:
    """Press a board's buttons in the order given, then release them in reverse.

    `press NAME boot reset` enters download mode. On a Pico, boot is BOOTSEL; it has no reset
    button, but a cable: `fault NAME unplug`, `press NAME boot --hold`, `fault NAME replug`.
    """
    if hold and release:
        raise UsageError("--hold and --release exclude each other", hint="give one of them")
    client.request(name, "press", buttons=list(buttons), hold=hold, release=release)


def _list_faults(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from provision.sim.process.faults import FAULTS, IN_FLASH

    told = {**{name: fault.help for name, fault in FAULTS.items()}, **IN_FLASH}
    for line in aligned([*told.items()]):
        click.echo(line)
    context.exit()


@command.command("fault")
@click.argument("name")
@click.argument("fault")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]…")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="List all faults and their arguments.",
)
def fault(name: str, fault: str, arguments: Sequence[str]) -> None:
    """Inject a fault: unplug bytes=2000, cut-erase, noise flip=0.001 …"""
    client.request(name, "fault", fault=fault, arguments=dict(_pair(one) for one in arguments))


@command.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- TOOL [ARG]…")
def run_tool(words: Sequence[str]) -> None:
    """Run an installed Python tool (esptool, mpremote …) so that it can open sim:// ports."""
    from importlib.metadata import entry_points

    from provision.app_drives import register_virtual_boards

    paths.need_posix()
    from provision.sim import modem_lines

    scripts = {script.name: script for script in entry_points(group="console_scripts")}
    script = scripts.get(words[0])
    if script is None:
        raise UsageError(
            f"no Python tool {words[0]!r} is installed in this environment",
            hint="only Python programs that use pyserial can open sim://; for others, start the "
            "board with `provision sim up --pty`",
        )
    register_virtual_boards()
    modem_lines.install()
    sys.argv = list(words)
    try:
        sys.exit(script.load()())
    except Exception as error:  # noqa: BLE001 - the tool's, not ours: told as the tool would
        here = error.__traceback__
        traceback.print_exception(type(error), error, here.tb_next if here is not None else None)
        sys.exit(1)


def _manifest_among(words: Sequence[str]) -> str | None:
    """The manifest that is meant, if one is: a file, a folder, "-", or nothing at all."""
    if not words:
        return ""
    path = Path(words[0])
    named = words[0] == "-" or path.suffix in {".yaml", ".yml"} or path.exists()
    return words[0] if len(words) == 1 and named else None


def _boards_of(
    manifest: str, limits: Sequence[str], secrets: Path | None
) -> list[tuple[str, dict[str, str]]]:
    """Name and settings of the board behind each sim:// port of a manifest."""
    from provision.project.manifest_file import load
    from provision.project.user.known_secrets import Lookup
    from provision.project.user.secrets_command import users_command

    loaded = load(
        manifest or None, secrets=secrets, secrets_command=users_command(), lookup=Lookup.LATER
    )
    boards = []
    for state in loaded.states(limits):
        if state.port is None or not state.port.value.startswith(f"{SCHEME}://"):
            continue
        name, query = parse_address(state.port.value)
        profile = state.board
        known = {"chip": str(profile.chip), "wiring": profile.reset.value}
        if profile.flash_size:
            known["flash"] = str(profile.flash_size)
        if state.mac:
            known["mac"] = state.mac
        boards.append((name, {**known, **query}))
    if not boards:
        raise UsageError(
            f"no device of {loaded.file} has a sim:// port",
            hint="write `port: sim://NAME` for one, or name boards: "
            "`provision sim up --chip esp32 NAME`",
        )
    return boards


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name for a virtual board",
            hint="use letters, digits, '.', '_' and '-'",
        )
    return name


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not equals:
        raise UsageError(f"{setting!r} is not KEY=VALUE", hint="write flash=8MB, for example")
    return key, value


def _all_names() -> list[str]:
    home = paths.home()
    if not home.is_dir():
        return []
    return sorted(
        entry.name for entry in home.iterdir() if entry.is_dir() and not entry.is_symlink()
    )


def _status(name: str) -> dict[str, Any]:
    directory = paths.directory(name)
    called = name
    with contextlib.suppress(OSError):
        called = (directory / "name").read_text(encoding="utf-8").strip()
    with contextlib.suppress(SimulatorError):
        return client.request(called, "status")
    try:
        saved = json.loads((directory / "board.json").read_text(encoding="utf-8"))
        setup = BoardSetup.from_query(name, saved, directory)
    except (OSError, ValueError, SimulatorError):
        return {"name": name, "mode": "damaged", "directory": str(directory)}
    return {
        "name": name,
        "chip": str(setup.chip),
        "flash": setup.flash_size,
        "mac": setup.mac,
        "serial": setup.serial if model_of(setup.chip).native_usb else None,
        "mode": "stopped",
        "directory": str(directory),
    }


def _show(boards: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(boards, indent=2))
        return
    rows = [_COLUMNS, *(_row(board) for board in boards)]
    used = [i for i in range(len(_COLUMNS)) if any(row[i] for row in rows[1:])]
    for line in aligned([[row[i] for i in used] for row in rows]):
        click.echo(line)
    for problem in dict.fromkeys(board.get("problem") for board in boards):
        if problem:
            click.echo(f"warning: {problem}", err=True)


def _row(board: dict[str, Any]) -> tuple[str, ...]:
    flash = board.get("flash", 0)
    shown = {
        **board,
        "flash": size_code(flash) if flash else "",
        "port": f"sim://{board['name']}" if board.get("present", True) else "",
        # A board with a USB of its own is known by the serial number that it shows there.
        "mac": "" if board.get("serial") else board.get("mac", ""),
        "mode": board["mode"] if board.get("plugged", True) else "unplugged",
    }
    return tuple(str(shown.get(column) or "") for column in _COLUMNS)
