"""`provision config`: show your defaults for every manifest, and where they come from."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

import click

from provision.cli.options import json_option
from provision.core.wording import harmless
from provision.model.language import record
from provision.project.user.config import UserConfig, read_config
from provision.project.user.config_path import config_file

if TYPE_CHECKING:
    from pathlib import Path

BUILT_IN = "built in"
FORKS_VARIABLE, CACHE_VARIABLE = "PROVISION_FORKS", "PROVISION_CACHE_DIR"


@record
class Setting:
    """One setting as it holds; `source` is an environment variable, the file, or BUILT_IN."""

    name: str
    value: str
    source: str


def settings(config: UserConfig, environment: Mapping[str, str]) -> Iterator[Setting]:
    """What holds where the command line says nothing."""
    file = str(config.file)

    def held(name: str, variable: str, value: object, usual: object) -> Setting:
        if environment.get(variable):
            return Setting(name=name, value=environment[variable], source=variable)
        if value is None:
            return Setting(name=name, value=str(usual), source=BUILT_IN)
        return Setting(name=name, value=str(value), source=file)

    yield _color(config, environment)
    yield held("forks", FORKS_VARIABLE, config.forks, 0)
    yield held("cache", CACHE_VARIABLE, config.cache, _usual_cache())
    yield held("manifest", "PROVISION_MANIFEST", None, "fleet.yaml")
    secrets = config.secrets
    if secrets is None:
        yield Setting(name="secrets.command", value="none", source=BUILT_IN)
        return
    yield Setting(name="secrets.command", value=shlex.join(secrets.command), source=file)
    yield Setting(name="secrets.timeout", value=f"{secrets.timeout:g} s", source=file)
    folders = " ".join(map(str, secrets.folders)) if secrets.folders is not None else "any"
    yield Setting(name="secrets.folders", value=folders, source=file)


def _color(config: UserConfig, environment: Mapping[str, str]) -> Setting:
    """As `output.style.wants_colour` has it."""
    if environment.get("NO_COLOR"):
        return Setting(name="color", value="never", source="NO_COLOR")
    if environment.get("FORCE_COLOR"):
        value = "auto" if environment["FORCE_COLOR"] == "0" else "always"
        return Setting(name="color", value=value, source="FORCE_COLOR")
    source = BUILT_IN if config.color is None else str(config.file)
    return Setting(name="color", value=config.color or "auto", source=source)


def _usual_cache() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("provision")


def into_environment(config: UserConfig, environment: MutableMapping[str, str]) -> None:
    """Put the defaults where commands look for them, unless something is there already."""
    if config.color in ("always", "never") and not (
        environment.get("NO_COLOR") or environment.get("FORCE_COLOR")
    ):
        environment["NO_COLOR" if config.color == "never" else "FORCE_COLOR"] = "1"
    for variable, value in ((FORKS_VARIABLE, config.forks), (CACHE_VARIABLE, config.cache)):
        if value is not None and not environment.get(variable):
            environment[variable] = str(value)


@click.group("config", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> int:
    """Show your defaults for every manifest, and where they come from.

    They are in `provision/config.yaml` in your configuration folder, or in the file that
    PROVISION_CONFIG names. The command line goes before the environment, that before the file.
    """
    if context.invoked_subcommand is not None:
        return 0
    config = read_config()
    found = list(settings(config, os.environ))
    if as_json:
        values = {one.name: {"value": one.value, "source": one.source} for one in found}
        data = {"file": str(config.file), "exists": config.file.exists(), "settings": values}
        click.echo(json.dumps(data, indent=2))
        return 0
    for one in found:
        click.echo(harmless(f"{one.name:<16}  {one.value}  ({one.source})"))
    if not config.file.exists():
        click.echo(harmless(f"there is no {config.file} yet"), err=True)
    return 0


@command.command("path")
def path() -> int:
    """Print where the file is, or would be."""
    click.echo(str(config_file()))
    return 0
