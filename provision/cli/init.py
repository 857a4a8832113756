"""`provision init`: write a first manifest from the boards that are plugged in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from provision import api
from provision.cli.options import json_option
from provision.cli.streams import typed_within
from provision.core.wording import harmless_line, memory_size, plural
from provision.errors import UsageError

_LOOK = 0.3  # seconds between two looks at what is plugged in


@click.command(name="init")
@click.argument("ports", nargs=-1, metavar="[PORT]...")
@click.option("--manifest", "-m", metavar="FILE", help="The manifest to write, in place of "
              "fleet.yaml.")  # fmt: skip
@click.option("--walk", is_flag=True,
              help="Name boards by plugging them in, one after the other.")  # fmt: skip
@json_option
def command(*, ports: tuple[str, ...], manifest: str | None, walk: bool, as_json: bool) -> int:
    """Write a first manifest, fleet.yaml, of the boards that are plugged in, or of those on each
    PORT (a path or a URL): ports that last, MACs, and boards as far as they can be guessed, with
    the reason beside. One that is there is never overwritten.

    Each board is asked who it is: that interrupts what runs there, and resets a board whose REPL
    does not answer. With --walk you are asked for the name of each board as you plug it in; these
    are added to the manifest if it is there.
    """
    if walk:
        return _walk(api.naming(manifest), ports)
    written = api.init(ports, manifest=manifest)
    if as_json:
        click.echo(json.dumps(_data(written), indent=2))
        return 0
    for one in written.devices:
        click.echo(f"{one.device}: {_described(one)}")
    for port, why in written.left_out:
        click.echo(f"not added: {harmless_line(port)}: {harmless_line(why)}", err=True)
    click.echo(f"wrote {written.path}: {plural(len(written.devices), 'device')}", err=True)
    then = "provision plan" if manifest is None else f"provision plan {written.path}"
    click.echo(f"next: look at it, name boards as you call them, then `{then}`", err=True)
    return 0


def _walk(naming: api.Naming, ports: tuple[str, ...]) -> int:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "--walk asks for names, and this is no terminal",
            hint="`provision init` without --walk asks nothing",
        )
    found = iter(api.ports_named(ports)) if ports else _plugged_in(api.arrivals())
    for port in found:
        where = harmless_line(port.port.path)
        asked = api.ask(port)
        known = naming.known_as(asked)
        if asked.actual is None:
            _tell(f"{where}: {harmless_line(asked.error or '')}")
        elif known is not None:
            _tell(f"{where}: this board is {known}")
        else:
            _tell(f"{where}: {_seen(asked.actual)}")
            name = _asked_name(naming)
            if name is None:
                continue
            try:
                naming.add(name, asked)
            except UsageError as error:
                _tell(f"{error.message}; {error.hint}")
                continue
            naming.write()
            _tell(f"{name} is in {naming.path}")
    _tell(f"{plural(len(naming.named), 'device')} added to {naming.path}")
    return 0


def _plugged_in(arrivals: api.Arrivals) -> Iterator[api.FoundPort]:
    """Each port that is plugged in, until somebody presses Enter."""
    while True:
        _tell("plug in the next board; Enter ends")
        found: Sequence[api.FoundPort] = ()
        while not found:
            if typed_within(_LOOK):
                sys.stdin.readline()
                return
            found = arrivals.look()
        yield from found


def _asked_name(naming: api.Naming) -> str | None:
    """What somebody calls this board; None to leave it out. Abort where nobody is there."""
    suggestion = naming.suggestion
    question = f"that is? [{suggestion}] " if suggestion else "that is? (a name, - for none) "
    while True:
        click.echo(question, nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            raise click.Abort
        name = line.strip() or suggestion or ""
        if name == "-":
            return None
        fault = naming.name_fault(name)
        if fault is None:
            return name
        _tell(harmless_line(fault))


def _described(one: api.NamedBoard) -> str:
    board = f", board {one.board}" if one.board is not None else ""
    return f"{harmless_line(one.port)}: {_seen(one.actual)}{board}"


def _seen(actual: api.ActualState) -> str:
    """What a board is, in few words."""
    firmware = actual.firmware
    said = [
        actual.chip.label if actual.chip is not None else "",
        memory_size(actual.flash_size) if actual.flash_size is not None else "",
        actual.mac or "",
        f"MicroPython {firmware.version}" if firmware is not None else "no MicroPython",
    ]
    return harmless_line(", ".join(filter(None, said)))


def _data(written: api.NewManifest) -> dict[str, Any]:
    return {
        "version": 1,
        "manifest": str(written.path),
        "devices": [
            {
                "device": one.device,
                "port": one.port,
                "board": one.board,
                "chip": one.actual.chip.name if one.actual.chip is not None else None,
                "mac": one.actual.mac,
                "flash_size": one.actual.flash_size,
                "firmware": one.actual.firmware.version if one.actual.firmware else None,
            }
            for one in written.devices
        ],
        "left_out": [{"port": port, "reason": why} for port, why in written.left_out],
    }


def _tell(text: str) -> None:
    click.echo(text, err=True)
