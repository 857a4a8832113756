"""The command line: thin commands, one file each, over `api.py`. Heavy packages are imported in the
commands that use them, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import click

from provision._version import __version__
from provision.cli.streams import (
    finish_streams,
    is_lost_output,
    prepare_streams,
    tell_lost_output,
)
from provision.cli.suggestions import complete
from provision.core.wording import did_you_mean
from provision.errors import ProvisionError

INTERRUPTED = 130

# What `--help` lists together.
GROUPS = {
    "Every day": "plan apply check status watch logs repl run",
    "Boards": "discover facts reset ls cat cp backup restore rollback",
    "Manifests": "init import validate show schema boards",
    "Sources": "lock vendor firmware image cache",
    "Many boards": "station ledger serve",
    "Simulation": "sim rehearse",
    "Help": "help explain completion config",
}
_EXAMPLES = (
    ("provision init", "write fleet.yaml from what is plugged in"),
    ("provision plan", "what would change, and why"),
    ("provision apply -l kitchen", "make one device match"),
    ("provision watch kitchen", "and keep it so while you edit"),
    ("provision logs", "what the boards print"),
    ("provision explain port-busy", "what an error means, and what to do"),
)

# What helps to mend the user's configuration does without it.
_NEED_NO_DEFAULTS = ("help", "explain", "completion", "config")

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

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _reader_may_leave():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with _reader_may_leave():
            try:
                return super().invoke(ctx)
            except ProvisionError as error:
                complete(error, ctx)
                raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in commands() and not word.startswith("-"):
            from provision.cli.other_words import command_meant

            meant = command_meant(word)
            guess = f"; did you mean '{meant}'?" if meant else did_you_mean(word, commands())
            raise click.UsageError(f"there is no command '{word}'{guess}", ctx)
        if word not in _NEED_NO_DEFAULTS and not {"-h", "--help"} & set(args):
            _take_defaults()
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = commands()
        width = max(map(len, known))
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), known[name]) for name in names.split() if name in known]
                )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            formatter.write_dl(_EXAMPLES)


def _take_defaults() -> None:
    """What the user's configuration says, if there is to be one: only then is more imported."""
    from provision.project.user.config_path import FILE_VARIABLE, config_file

    if os.environ.get(FILE_VARIABLE) or os.path.lexists(config_file()):
        from provision.cli.config import into_environment
        from provision.project.user.config import read_config

        into_environment(read_config(), os.environ)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader that wanted no more, as `head`, is no failure; click ends the process with 1 on any
    broken pipe, and without a word, one of ours included."""
    try:
        yield
    except BrokenPipeError as error:
        if is_lost_output(error):
            raise click.exceptions.Exit(0) from None
        raise RuntimeError(str(error)) from error


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(__version__, prog_name="provision")
def main(debug: bool) -> None:
    """Make a fleet of MicroPython boards match a manifest."""


def run() -> NoReturn:
    """Run the command line and end the process with one of DESIGN's exit codes."""
    try:
        code = _run()
    except KeyboardInterrupt:  # while the command was ending
        code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    prepare_streams()
    if "_PROVISION_COMPLETE" in os.environ:  # a shell asks, and no command is imported
        from provision.cli.completion import speak_as_scripts_expect

        speak_as_scripts_expect()
    words = sys.argv[1:]
    own = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in own  # wherever it stands: people add it to the line that failed
    arguments = [word for word in own if word != "--debug"] + words[len(own) :]
    try:
        code = main.main(arguments, standalone_mode=False, prog_name="provision")
    except ProvisionError as error:
        if debug:
            raise
        from provision.cli.problems import report_error

        report_error(error)
        code = error.exit_code
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            from provision.cli.other_words import option_meant

            option_meant(error).show()
        else:
            error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        with suppress(OSError):  # the terminal may be gone, which is why
            click.echo("interrupted", err=True)
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and is_lost_output(error):
            code = tell_lost_output(error)
        else:
            click.echo(f"error: internal: {type(error).__name__}: {error}", err=True)
            click.echo("hint: run again with --debug and report what it prints", err=True)
            code = 1
    return finish_streams(code if isinstance(code, int) else 0)
