"""The command line: thin commands over the engine. Heavy packages are imported in the commands
that use them, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from provision._version import __version__
from provision.core.wording import did_you_mean
from provision.errors import ManifestError, ProvisionError

# command name: (module below provision.cli, one line for --help)
COMMANDS: dict[str, tuple[str, str]] = {
    "apply": ("apply", "Make every board match the manifest."),
    "boards": ("boards", "List the board profiles, or show one."),
    "cache": ("cache", "List, verify and prune the cache of firmware and packages."),
    "discover": ("discover", "List serial ports, and which device is on each."),
    "facts": ("facts", "Show chip, MAC, flash and firmware of every board."),
    "firmware": ("firmware", "Inspect firmware images."),
    "image": ("image", "Build images for other flashing tools."),
    "plan": ("plan", "Show what apply would change; change nothing."),
    "lock": ("lock", "Resolve versions and packages and write fleet.lock."),
    "schema": ("schema", "Print the JSON schema of the manifest."),
    "show": ("show", "Show the desired state of each device, secrets masked."),
    "sim": ("sim", "Bring up virtual boards, and have things go wrong with them."),
    "vendor": ("vendor", "Copy everything a manifest downloads, for use offline."),
    "validate": ("validate", "Check a manifest without touching any board."),
}


class LazyGroup(click.Group):
    """Imports a command's module when it is run, not when help lists it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"provision.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in COMMANDS and not word.startswith("-"):
            raise click.UsageError(
                f"there is no command '{word}'{did_you_mean(word, COMMANDS)}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


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
