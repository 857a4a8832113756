"""The options that commands about a manifest share."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from provision.cli.device_names import patterns
from provision.cli.named_manifest import named_by_option, the_manifest, the_manifests
from provision.cli.suggestions import complete, remember
from provision.core.hosts import host_fault
from provision.errors import ManifestError, ProvisionError, UsageError
from provision.model.language import record


@record
class Where:
    """Whether only the devices `here` are meant; what this computer is called, if that is said."""

    here: bool = False
    host: str | None = None

    def as_arguments(self) -> dict[str, Any]:
        """Those of `api.load`."""
        return {"here": self.here, "host": self.host}


F = TypeVar("F", bound=Callable[..., Any])


def manifest_argument(function: F) -> F:
    # As many words as there are, so that devices named in its place can be told from manifests.
    return click.argument(
        "manifest", nargs=-1, metavar="[MANIFEST]", callback=the_manifest, type=click.UNPROCESSED
    )(function)


def manifests_argument(function: Callable[..., int]) -> Callable[..., int]:
    """Any number of manifests, to the command one after the other: as a hook of version control
    names them, or `*.yaml`. What is wrong with one hides nothing of the next."""

    @functools.wraps(function)
    def each(*arguments: Any, manifest: tuple[str | None, ...], **options: Any) -> int:
        if len(manifest) == 1:
            return function(*arguments, manifest=manifest[0], **options)
        from provision.cli.problems import report_error

        codes = []
        for one in manifest:
            context = click.get_current_context()
            remember(context, one)
            try:
                codes.append(function(*arguments, manifest=one, **options))
            except ProvisionError as error:
                complete(error, context)
                report_error(error)
                codes.append(error.exit_code)
        return max(codes)

    return click.argument(
        "manifest",
        nargs=-1,
        metavar="[MANIFEST]...",
        callback=the_manifests,
        type=click.UNPROCESSED,
    )(each)


def no_secrets_option(function: F) -> F:
    return click.option(
        "--no-secrets",
        is_flag=True,
        help="Take a placeholder for each secret that no file has, and each variable of the "
        "environment that is not set.",
    )(function)


def manifest_option(function: F) -> F:
    """The manifest, for commands whose words are devices or files."""
    return click.option(
        "--manifest",
        "-m",
        metavar="FILE",
        callback=named_by_option,
        help="The manifest that has the devices, in place of fleet.yaml or $PROVISION_MANIFEST.",
    )(function)


def limit_option(function: F) -> F:
    return click.option(
        "--limit",
        "-l",
        "limits",
        multiple=True,
        metavar="PATTERNS",
        shell_complete=patterns,
        help="Only these devices: names, globs, ranges, @group, !exclusion; comma separated.",
    )(function)


def host_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--here` and `--host`, for commands that talk to boards: which of those that `--limit`
    selects are this computer's to do."""
    here = click.option("--here", is_flag=True, help="Only devices whose `host:` this computer is.")
    host = click.option(
        "--host",
        metavar="NAME",
        help="As --here, where this computer is called NAME in the manifest.",
    )

    @functools.wraps(function)
    def placed(*arguments: Any, here: bool, host: str | None, **options: Any) -> Any:
        if host is not None and (fault := host_fault(host)) is not None:
            raise UsageError(
                f"--host: {fault}", hint="`provision show` tells the `host:` of each device"
            )
        where = Where(here=here or host is not None, host=host)
        return function(*arguments, where=where, **options)

    return here(host(placed))


def variables_option(function: F) -> F:
    return click.option(
        "-e",
        "variables",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_variables,
        help="A variable for this run, in place of the manifest's, of every device. Others on this "
        "computer see it, and the shell's history keeps it: give secrets by --secrets.",
    )(function)


def _variables(
    _context: click.Context, _parameter: click.Parameter, words: Sequence[str]
) -> Mapping[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise UsageError(
                "-e takes a name and a value, and a name is made of letters, digits and _",
                hint="write `-e topic=garden`",
            )
        try:
            value.encode()
        except UnicodeEncodeError:  # bytes that this locale cannot read
            raise UsageError(
                f"-e {name}: its value is no text in this terminal's encoding",
                hint="write it in UTF-8, where the locale (LC_ALL, LANG) is a UTF-8 one",
            ) from None
        found[name] = value
    return found


_VARIABLE = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)


def secrets_option(function: F) -> F:
    return click.option(
        "--secrets",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A secrets file whose values replace those of secrets.yaml beside the manifest.",
    )(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`, for commands whose stdout is one document: an error is one too, as well as told to
    people on stderr."""

    @functools.wraps(function)
    def told(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except ProvisionError as error:
            complete(error, click.get_current_context())
            if options["as_json"]:
                click.echo(json.dumps(error_data(error), indent=2))
            raise

    option = click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
    return option(told)


def error_data(error: ProvisionError) -> dict[str, Any]:
    """An error as JSON has it; `problems` where it is about a manifest."""
    from provision.cli.problems import problem_data

    data: dict[str, Any] = {"error": error.message, "code": error.code, "hint": error.hint}
    if isinstance(error, ManifestError):
        data["problems"] = [problem_data(problem) for problem in error.problems]
    return data


def offline_option(function: F) -> F:
    return click.option(
        "--offline", is_flag=True, help="Use no network, only what is cached or vendored."
    )(function)
