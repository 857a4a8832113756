"""`--limit`: which devices of a manifest a command is about.

Patterns are separated by commas: a name, a name with `*` and `?`, a range as in the manifest,
`@group` for a group's devices, and any of these behind `!` to leave devices out. What is left
out stays out, whatever the order; exclusions alone start from all devices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate

from provision.core.manifest.model import Manifest
from provision.core.manifest.ranges import expand, is_range
from provision.core.wording import did_you_mean, printable, quoted
from provision.errors import UsageError


def select_devices(manifest: Manifest, limits: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that the limits select, in the manifest's order; all for no limit.

    UsageError for a pattern that matches nothing, since it is a mistyped one more often than not.
    """
    patterns = [part.strip() for limit in limits for part in limit.split(",")]
    patterns = [pattern for pattern in patterns if pattern]
    if not patterns:
        if any(limits):
            raise UsageError(
                "--limit names no device", hint="write a device's name, or leave it out"
            )
        return tuple(manifest.devices)
    wanted: set[str] = set()
    unwanted: set[str] = set()
    for pattern in patterns:
        excluded = pattern.startswith("!")
        found = _matches(manifest, pattern[1:] if excluded else pattern)
        (unwanted if excluded else wanted).update(found)
    if all(pattern.startswith("!") for pattern in patterns):
        wanted = set(manifest.devices)
    selected = tuple(name for name in manifest.devices if name in wanted - unwanted)
    if not selected:
        raise UsageError(
            f"--limit {printable(','.join(patterns))} leaves no device",
            hint="every device it selects is excluded again",
        )
    return selected


def _matches(manifest: Manifest, pattern: str) -> set[str]:
    if pattern.startswith("@"):
        groups = _named(manifest.groups, pattern[1:])
        if not groups:
            near = did_you_mean(pattern[1:], manifest.groups, or_list=True)
            raise UsageError(
                f"no group matches {quoted(pattern)}{near}", hint="groups are written @name"
            )
        return {
            name
            for name, device in manifest.devices.items()
            if not groups.isdisjoint(device.groups)
        }
    found = _named(manifest.devices, pattern)
    if not found:
        near = did_you_mean(pattern, manifest.devices, or_list=True)
        hint = "`provision show` lists the devices of the manifest"
        if pattern in manifest.groups:
            near, hint = "", f"it is a group: write --limit @{pattern}"
        raise UsageError(f"no device matches {quoted(pattern)}{near}", hint=hint)
    return found


def _named(names: Iterable[str], pattern: str) -> set[str]:
    if is_range(pattern):
        try:
            return {member.name for member in expand(pattern)} & set(names)
        except ValueError as error:
            raise UsageError(f"--limit {printable(pattern)}: {error}") from None
    if not any(wildcard in pattern for wildcard in "*?["):
        return {name for name in names if name == pattern}
    matcher = re.compile(translate(pattern))
    return {name for name in names if matcher.match(name)}
