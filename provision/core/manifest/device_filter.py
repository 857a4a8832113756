"""`--limit`: which devices of a manifest a command is about; `--accept-new-board` alike.

Patterns are separated by commas: a name, a name with `*` and `?`, a range as in the manifest,
`@group` for a group's devices, `@failed` for those that failed in the last apply, and any of these
behind `!` to leave devices out. What is left out stays out, whatever the order; exclusions alone
start from all devices. An empty pattern is one that selects nothing: `--limit "$ROOM"`, with a
variable that is not set, is no whole fleet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import translate

from provision.core.manifest.model import Manifest
from provision.core.manifest.ranges import expand, is_range
from provision.core.wording import did_you_mean, listed, printable, quoted
from provision.errors import UsageError

LIMIT = "--limit"
NEW_BOARD = "--accept-new-board"
FAILED = "@failed"

Failed = Callable[[], Collection[str]]
"""Looks up the devices that failed in the last apply."""


def select_devices(
    manifest: Manifest,
    limits: Sequence[str] = (),
    *,
    option: str = LIMIT,
    failed: Failed | None = None,
) -> tuple[str, ...]:
    """The names that the limits select, in the manifest's order; all for no limit.

    UsageError for a pattern that matches nothing, since it is a mistyped one more often than not,
    and where no device is left. `option` is what the user gave the limits to; where nobody can say
    which devices have `failed`, that is no pattern. A group of that name goes before it.
    """
    if not limits:
        return tuple(manifest.devices)
    patterns = [part.strip() for limit in limits for part in limit.split(",")]
    if not any(patterns):
        raise UsageError(
            f"{option} is empty and selects no device",
            hint=f"name devices, as in `{option} {next(iter(manifest.devices), 'NAME')}`"
            + (", or leave it out for all of them" if option == LIMIT else ""),
        )
    wanted: set[str] = set()
    unwanted: set[str] = set()
    for pattern in filter(None, patterns):
        excluded = pattern.startswith("!")
        bare = pattern[1:] if excluded else pattern
        if bare == FAILED and failed is not None and FAILED[1:] not in manifest.groups:
            found = _failed(manifest, failed(), option, excluded)
        else:
            found = _matches(manifest, bare, option)
        if not excluded:
            _check_range(pattern, found, option)
        (unwanted if excluded else wanted).update(found)
    if all(pattern.startswith("!") for pattern in patterns):
        wanted = set(manifest.devices)
    selected = tuple(name for name in manifest.devices if name in wanted - unwanted)
    if not selected:
        hint = "every device it selects is excluded again"
        if not wanted:
            rest = ",".join(filter(None, patterns))
            hint = f"an empty pattern selects nothing; all but these are `{option} '*,{rest}'`"
        raise UsageError(f"{option} {printable(','.join(patterns))} leaves no device", hint=hint)
    return selected


def select_new_boards(
    manifest: Manifest,
    patterns: Sequence[str],
    run: Collection[str],
    declared: Collection[str] = (),
) -> frozenset[str]:
    """The devices of a run, `run` being their names, that may have got another board. The patterns
    are as those of `--limit`; UsageError for what is no device, or none of this run, or one of
    those whose MAC is `declared` in the manifest: nobody accepts a board for nothing."""
    if not patterns:
        return frozenset()
    names = select_devices(manifest, patterns, option=NEW_BOARD)
    named = {part.strip() for pattern in patterns for part in pattern.split(",")}
    left_out = [name for name in names if name not in run]
    if len(left_out) == len(names):
        raise _not_in_run(left_out[0])
    for name in left_out:
        if name in named:
            raise _not_in_run(name)
    settled = [name for name in names if name in declared]
    for name in settled:
        if name in named or len(settled) == len(names):
            raise UsageError(
                f"{NEW_BOARD}: the manifest declares which board {name} has",
                hint=f"change `mac:` of {name} in the manifest, and leave {NEW_BOARD} out",
            )
    return frozenset(names) & frozenset(run)


def _failed(manifest: Manifest, names: Collection[str], option: str, excluded: bool) -> set[str]:
    found = {*names} & {*manifest.devices}
    if not found and not excluded:
        raise UsageError(
            f"{option} {FAILED} selects no device: none failed in the last apply of this manifest, "
            "as far as this computer remembers",
            hint="`provision status` tells what each device's last apply came to",
        )
    return found


def _not_in_run(name: str) -> UsageError:
    return UsageError(
        f"{NEW_BOARD}: {name} is not among the devices of this run",
        hint=f"`{LIMIT}` leaves it out; write `{LIMIT} {name} {NEW_BOARD} {name}`",
    )


def _matches(manifest: Manifest, pattern: str, option: str) -> set[str]:
    if pattern.startswith("@"):
        groups = _named(manifest.groups, pattern[1:], option)
        if not groups:
            near = did_you_mean(pattern[1:], manifest.groups, or_list=True)
            raise UsageError(
                f"no group matches {quoted(pattern)}{near}",
                hint="name one of the manifest, or devices; `provision show` lists them",
            )
        return {
            name
            for name, device in manifest.devices.items()
            if not groups.isdisjoint(device.groups)
        }
    found = _named(manifest.devices, pattern, option)
    if not found:
        near = did_you_mean(pattern, manifest.devices, or_list=True)
        hint = "`provision show` lists the devices of the manifest"
        if manifest.station is not None and pattern == manifest.station.template.name:
            near, hint = (
                "",
                "it is the template of the station: `provision station` makes boards of it",
            )
        elif pattern in manifest.groups:
            near, hint = "", f"it is a group: write `{option} @{pattern}`"
        raise UsageError(f"no device matches {quoted(pattern)}{near}", hint=hint)
    return found


def _check_range(pattern: str, found: Collection[str], option: str) -> None:
    """UsageError for a range of devices that are not all there: who counts to forty means forty."""
    if pattern.startswith("@") or not is_range(pattern):
        return
    names = [member.name for member in expand(pattern)]
    missing = [name for name in names if name not in found]
    if missing:
        glob = re.sub(r"\[[^]]*\]", "*", pattern)
        raise UsageError(
            f"{quoted(pattern)}: there is no {listed(missing, joined_by='or')} in the manifest",
            hint=f"`{option} '{glob}'` selects those that are there",
        )


def _named(names: Iterable[str], pattern: str, option: str) -> set[str]:
    if is_range(pattern):
        try:
            return {member.name for member in expand(pattern)} & set(names)
        except ValueError as error:
            raise UsageError(f"{option} {printable(pattern)}: {error}") from None
    if not any(wildcard in pattern for wildcard in "*?["):
        return {name for name in names if name == pattern}
    matcher = re.compile(translate(pattern))
    return {name for name in names if matcher.match(name)}
