"""`provision cache`: list, verify and prune the cache of firmware and packages."""

from __future__ import annotations

import datetime
import json

import click

from provision.cli.options import json_option
from provision.core.wording import harmless, plural
from provision.errors import SourceError
from provision.sources.cache import Cache, user_cache


@click.group("cache")
def command() -> None:
    """List, verify and prune the cache of firmware, packages and bytecode.

    It is below the user's cache directory, or where PROVISION_CACHE_DIR says.
    """


@command.command("list")
@json_option
def list_(as_json: bool) -> int:
    """List what is in the cache, what was used last first."""
    cache = Cache(user_cache())
    entries = cache.entries()
    if as_json:
        data = [
            {
                "sha256": entry.sha256,
                "size": entry.size,
                "name": entry.name,
                "url": entry.url,
                "used": _time(entry.used).isoformat(),
            }
            for entry in entries
        ]
        click.echo(json.dumps({"directory": str(cache.root), "entries": data}, indent=2))
        return 0
    for entry in entries:
        used = _time(entry.used).strftime("%Y-%m-%d")
        line = f"{entry.sha256[:12]}  {entry.size:>10,} B  {used}  {entry.name}  {entry.url}"
        click.echo(harmless(line).rstrip())
    total = sum(entry.size for entry in entries)
    click.echo(f"{plural(len(entries), 'file')}, {total:,} B in {cache.root}")
    return 0


@command.command("verify")
def verify() -> int:
    """Read everything in the cache and remove what is damaged; exits with 3 if anything was."""
    cache = Cache(user_cache())
    sound, damaged = cache.verify()
    for entry in damaged:
        click.echo(harmless(f"removed {entry.sha256[:12]}  {entry.name}  {entry.url}").rstrip())
    click.echo(f"{plural(sound, 'file')} sound, {len(damaged)} damaged")
    if damaged:
        raise SourceError(
            f"{plural(len(damaged), 'file')} in {cache.root} did not match their sha256 and were "
            "removed",
            hint="they are downloaded again when needed; if this happens again, check the disk",
        )
    return 0


@command.command("prune")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Remove what was not used for this many days; 0 for all.",
)
def prune(days: float) -> int:
    """Remove what was not used for long; what is needed again is downloaded again."""
    files, size = Cache(user_cache()).prune(days=days)
    click.echo(f"removed {plural(files, 'file')}, {size:,} B")
    return 0


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
