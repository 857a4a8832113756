"""`provision ledger`: list, export, merge and correct the record of a station's units."""

from __future__ import annotations

import json
from pathlib import Path

import click

from provision.atomic_files import write_atomic
from provision.cli.options import json_option
from provision.core.wording import harmless_line, plural
from provision.errors import UsageError
from provision.station.ledger import Ledger
from provision.station.merge import merge
from provision.station.records import (
    Attempt,
    Evidence,
    Unit,
    ledger_json,
    unit_data,
    units_csv,
)

_DEFAULT = "fleet.ledger"


@click.group("ledger")
@click.option(
    "--ledger",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(_DEFAULT),
    show_default=True,
    metavar="FILE",
    help="The ledger: beside the manifest, and named after it.",
)
@click.pass_context
def command(context: click.Context, path: Path) -> None:
    """Look into the ledger of `provision station`, and correct it.

    A number is free (given back, nothing had been written), reserved (a board's that is not done),
    done, or scrapped (never given again).
    """
    context.obj = path


@command.command("list")
@click.option("--state", "states", multiple=True,
              type=click.Choice(["free", "reserved", "done", "scrapped"]),
              help="Only units in this state; repeatable.")  # fmt: skip
@json_option
@click.pass_obj
def list_(path: Path, states: tuple[str, ...], as_json: bool) -> int:
    """List the units, one a line."""
    with Ledger.open(path) as ledger:
        units = ledger.units(states)
    if as_json:
        click.echo(json.dumps({"version": 1, "units": [unit_data(unit) for unit in units]}))
        return 0
    for unit in units:
        click.echo(_line(unit))
    counts = {state: sum(unit.state == state for unit in units) for state in _STATES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    click.echo(f"{plural(len(units), 'unit')}{f': {told}' if told else ''}", err=True)
    return 0


def _as_text(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A number as it may be looked for: a shell passes bytes that are no text as well."""
    return harmless_line(value)


_STATES = ("done", "reserved", "free", "scrapped")


@command.command("show")
@click.argument("number", callback=_as_text)
@json_option
@click.pass_obj
def show(path: Path, number: str, as_json: bool) -> int:
    """Tell all about one unit, by its number or its board's MAC."""
    with Ledger.open(path) as ledger:
        unit = ledger.unit(number)
        attempts = ledger.attempts(unit.number)
    if as_json:
        click.echo(json.dumps({"version": 1, **unit_data(unit, attempts)}, indent=2))
        return 0
    click.echo(_line(unit))
    for name, value in unit_data(unit).items():
        if name in ("number", "counter", "state", "files", "checks", "certificate"):
            continue
        if value is None:
            continue
        click.echo(f"  {name.replace('_', ' ')}: {harmless_line(str(value))}")
    for file, sha256 in unit.result.files.items():
        click.echo(f"  file {harmless_line(file)}: sha256 {sha256}")
    for line in _evidence_lines(unit.result.evidence):
        click.echo(f"  {line}")
    for attempt in attempts:
        click.echo(f"  {_attempt_line(attempt)}")
        if attempt.outcome != "passed":  # else it is what the unit has
            for line in _evidence_lines(attempt.evidence):
                click.echo(f"    {line}")
    return 0


def _evidence_lines(evidence: Evidence) -> list[str]:
    said = ["check " + json.dumps(check) for check in evidence.checks]
    if evidence.certificate is not None:
        facts = (f"{name} {value}" for name, value in evidence.certificate.items())
        said.append("certificate " + ", ".join(facts))
    return list(map(harmless_line, said))


@command.command("export")
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="csv",
              show_default=True, help="What to write.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write to this file instead of standard output.")  # fmt: skip
@click.pass_obj
def export(path: Path, kind: str, output: Path | None) -> int:
    """Write all units as CSV, or with all attempts as JSON."""
    with Ledger.open(path) as ledger:
        units, attempts = ledger.units(), ledger.attempts()
    text = units_csv(units) if kind == "csv" else ledger_json(units, attempts)
    if output is None:
        click.echo(text, nl=False)
        return 0
    try:
        write_atomic(output, text.encode())
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written: {error.strerror}", hint="name another file with -o"
        ) from error
    click.echo(f"wrote {output}: {plural(len(units), 'unit')}", err=True)
    return 0


@command.command("merge")
@click.argument("other", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def merge_(path: Path, other: Path) -> int:
    """Take over what the ledger OTHER of another station knows. All of it or, where the two
    contradict each other, nothing; to do it again changes nothing."""
    with Ledger.open(other) as theirs, Ledger.open(path, create=True) as ledger:
        if _same(path, other):
            raise UsageError(f"{other} is this very ledger", hint="name the other station's")
        merged = merge(ledger, theirs)
    click.echo(
        f"{plural(merged.added, 'unit')} added, {merged.updated} updated, "
        f"{plural(merged.attempts, 'attempt')} taken over"
    )
    return 0


@command.command("scrap")
@click.argument("number", callback=_as_text)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept.")
@click.pass_obj
def scrap(path: Path, number: str, reason: str) -> int:
    """Never give NUMBER again. Its board, if it comes back, gets another number."""
    if not reason.strip():
        raise UsageError("--reason is empty", hint="say why; it is what the ledger tells later")
    with Ledger.open(path) as ledger:
        unit = ledger.scrap(number, reason)
    click.echo(_line(unit))
    return 0


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _line(unit: Unit) -> str:
    said = [
        unit.number,
        unit.state,
        unit.changed[:19],
        unit.mac or "-",
        unit.name or "-",
        f"MicroPython {unit.result.firmware_version}" if unit.result.firmware_version else "",
        f"({unit.reason})" if unit.reason else "",
    ]
    return "  ".join(map(harmless_line, filter(None, said)))


def _attempt_line(attempt: Attempt) -> str:
    seconds = f" in {attempt.seconds:.1f} s" if attempt.seconds is not None else ""
    reason = f": {attempt.reason}" if attempt.reason else ""
    said = (
        attempt.started[:19],
        attempt.kind,
        f"{attempt.outcome}{seconds}",
        f"{attempt.station}/{attempt.socket}",
        f"{attempt.operator}{reason}",
    )
    return "  ".join(map(harmless_line, said))
