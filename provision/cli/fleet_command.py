"""What `apply` and `plan` share: their options, the outputs they write to, and how they end."""

from __future__ import annotations

import functools
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from provision.app import converge, open_project
from provision.cli.options import limit_option, manifest_argument, secrets_option
from provision.engine.context import Confirm, Options
from provision.errors import Interrupted
from provision.model.event import Notice
from provision.model.plan import EraseFlash, Plan
from provision.output.fanout import Fanout
from provision.output.setup import open_outputs

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the command line asked for, whichever the command."""

    manifest: str | None
    limits: tuple[str, ...]
    secrets: Path | None
    json: bool
    log_file: Path | None
    junit: Path | None
    verbose: int
    diff: bool
    detailed: bool
    offline: bool


def common_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of every command that talks to boards, gathered into its `request`."""
    options = [
        manifest_argument,
        limit_option,
        secrets_option,
        click.option("--json", is_flag=True,
                     help="Print events as JSON lines, as they happen."),
        click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False),
                     help="Also write what is told, at -vv, to this file."),
        click.option("--junit", type=click.Path(path_type=Path, dir_okay=False),
                     help="Write a JUnit report to this file."),
        click.option("-v", "--verbose", count=True,
                     help="Tell more; twice for the whole conversation with the board."),
        click.option("--diff", is_flag=True, help="Show how text files would change."),
        click.option("--detailed-exitcode", "detailed", is_flag=True,
                     help="Exit with 6 when changes are pending."),
        click.option("--offline", is_flag=True, help="Use only what is cached or vendored."),
        click.option("--forks", type=click.IntRange(min=0), default=0, show_default="all",
                     help="How many devices at once."),
        click.option("--hands-timeout", type=click.FloatRange(min=0), default=120.0,
                     show_default=True, metavar="SECONDS",
                     help="How long to wait, on a terminal, for somebody to press a button."),
    ]  # fmt: skip

    @functools.wraps(function)
    def gathered(**arguments: Any) -> int:
        own = {field.name: arguments.pop(field.name) for field in fields(Request)}
        return function(request=Request(**own), **arguments)

    wrapped: Callable[..., int] = gathered
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def go(request: Request, options: Options, command: str) -> int:
    """Run it, show it, and return the exit code."""
    project = open_project(request.manifest, secrets=request.secrets, offline=request.offline)
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    with open_outputs(
        stdout=sys.stdout,
        stderr=sys.stderr,
        changes=options.change,
        json_lines=request.json,
        verbosity=request.verbose,
        log_file=request.log_file,
        junit=request.junit,
        redact=project.loaded.redactor.text,
    ) as fanout:
        for warning in project.loaded.warnings:
            fanout.handle(Notice(message=f"warning: {warning}"))
        report = converge(
            project,
            replace(options, contents=request.diff, detailed=request.detailed),
            command=command,
            limit=request.limits,
            emit=fanout.handle,
            hands=interactive,
            confirm=_confirm(fanout) if interactive and not request.json else None,
        )
        if project.changed():
            fanout.handle(
                Notice(
                    message="the manifest changed during the run, which kept to what it had read; "
                    "run again to apply what it says now"
                )
            )
    return report.exit_code(detailed=request.detailed)


def _confirm(fanout: Fanout) -> Confirm:
    """Asks about one board at a time; "all" answers for those still to come."""
    agreed = False

    def ask(device: str, plan: Plan, stopping: Callable[[], bool]) -> bool:
        nonlocal agreed
        why = next(action.reason for action in plan.actions if isinstance(action, EraseFlash))
        with fanout.paused():
            while not agreed:
                click.echo(
                    f"{device}: erase this board and every file on it ({why})? [y/N/all]: ",
                    nl=False,
                    err=True,
                )
                answer = _typed_line(stopping).strip().lower()
                if answer == "all":
                    agreed = True
                elif answer in _ANSWERS:
                    return _ANSWERS[answer]
        return agreed

    return ask


_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def _typed_line(stopping: Callable[[], bool]) -> str:
    """A line from the terminal; Interrupted as soon as the run is stopped. This is no main
    thread, so that Ctrl-C does not end the reading by itself."""
    while sys.platform != "win32" and not select.select([sys.stdin], [], [], 0.1)[0]:
        if stopping():
            click.echo(err=True)
            raise Interrupted("stopped by the user")
    return sys.stdin.readline()
