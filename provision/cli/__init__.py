"""The command line: thin commands, one file each, over `api.py`. Heavy packages are imported in the
commands that use them, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import click

from provision._version import __version__
from provision.core.wording import did_you_mean
from provision.errors import ManifestError, ProvisionError

# How the module of a command begins: its name, and the line that --help shows.
_TITLE = re.compile(r'"""`provision ([a-z]+)`: (.+\.)"*')


@cache
def commands() -> Mapping[str, str]:
    """The line for `--help` of each command, by its name, which is its module's: read from where
    the module begins, so that nothing is imported to list them."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with path.open(encoding="utf-8") as file:
            title = _TITLE.match(file.readline())
        if title is not None and title[1] == path.stem:
            found[title[1]] = title[2][0].upper() + title[2][1:]
    return found


class LazyGroup(click.Group):
    """Imports a command's module when it is run, not when help lists it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in commands():
            return None
        module = importlib.import_module(f"provision.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in commands() and not word.startswith("-"):
            raise click.UsageError(
                f"there is no command '{word}'{did_you_mean(word, commands())}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(commands().items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(__version__, prog_name="provision")
def main(debug: bool) -> None:
    """Make a fleet of MicroPython boards match a manifest."""


def _open_closed_streams() -> None:
    """A service may start us with its standard streams closed, which Python has as None."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def run() -> NoReturn:
    """Run the command line and end the process with one of DESIGN's exit codes."""
    _open_closed_streams()
    words = sys.argv[1:]
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own  # wherever it stands: people add it to the line that failed
    arguments = [word for word in own if word != "--debug"] + words[len(own) :]
    try:
        code = main.main(arguments, standalone_mode=False, prog_name="provision")
    except ProvisionError as error:
        if debug:
            raise
        report_error(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        with suppress(OSError):  # the terminal may be gone, which is why
            click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        code = 0
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: internal: {type(error).__name__}: {error}", err=True)
        click.echo("hint: run again with --debug and report what it prints", err=True)
        code = 1
    _give_up_closed_streams()
    sys.exit(code if isinstance(code, int) else 0)


def _give_up_closed_streams() -> None:
    """What a pipe or terminal that is gone did not take would be written once more when the
    interpreter ends, and change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def report_error(error: ProvisionError) -> None:
    """Narrate one error on stderr: device, what happened, what to do next."""
    if isinstance(error, ManifestError):
        from provision.cli.problems import report_problems

        report_problems(error)
        return
    where = f"{error.device}: " if error.device else ""
    click.echo(f"error: {where}{error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
