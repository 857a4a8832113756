"""`host:`: which computer a board hangs on, and which devices are this computer's to do.

A host is named as `hostname` prints it there, in full or by its first label. Pure: what this
computer is called is told by whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from provision.core.wording import did_you_mean, listed, plural, printable, quoted
from provision.errors import UsageError
from provision.model.state import DesiredState

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*|\[.*")
_MOST_TOLD = 3


def host_fault(text: str) -> str | None:
    """What is wrong with the name of a host, if anything."""
    if text.casefold().partition(".")[0] == "localhost":
        return "every computer is localhost to itself; write what `hostname` prints on that one"
    if _ADDRESS.fullmatch(text):
        return f"{quoted(text)} is an address; write what `hostname` prints on that computer"
    if not _NAME.fullmatch(text) or len(text) > 253:
        return f"{quoted(text)} is no name of a computer; write what `hostname` prints there"
    return None


def same_host(one: str, other: str) -> bool:
    """Whether two names are one computer's: the same, in any case, or where one of them has no
    domain, with the same first label."""
    one, other = one.casefold().rstrip("."), other.casefold().rstrip(".")
    if "." in one and "." in other:
        return one == other
    return one.partition(".")[0] == other.partition(".")[0]


def is_at(host: str | None, computer: str | None) -> bool:
    """Whether a device of this `host` may hang on a computer: on any, where either has no name."""
    return host is None or computer is None or same_host(host, computer)


def devices_of(host: str, hosts: Mapping[str, str | None], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that hang on a host; `hosts` has the host of every device of the manifest,
    None for one that names none. UsageError where there is none."""
    if not any(hosts.values()):
        raise UsageError(
            "no device of the manifest says on which computer it hangs",
            hint=f"give a group or the devices `host: {host}`",
        )
    there = {name for name, where in hosts.items() if where is not None and same_host(where, host)}
    if not there:
        known = sorted({where for where in hosts.values() if where is not None})
        near = did_you_mean(host, known) or f"; they are on {listed(known, _MOST_TOLD)}"
        raise UsageError(
            f"no device hangs on {quoted(host)}{near}",
            hint="`--host NAME` says by which of these names the manifest means this computer",
        )
    selected = tuple(name for name in names if name in there)
    if not selected:
        raise UsageError(
            f"the devices that are selected hang on other computers than {printable(host)}",
            hint=f"of {printable(host)} there are {listed(sorted(there), _MOST_TOLD)}",
        )
    return selected


def refuse_elsewhere(states: Iterable[DesiredState], host: str) -> None:
    """UsageError where boards hang on another computer than this one, which is called `host`."""
    elsewhere: dict[str, list[str]] = {}
    here = False  # whether --here would select any
    for state in states:
        if state.host is None:
            continue
        if same_host(state.host, host):
            here = True
        else:
            elsewhere.setdefault(state.host, []).append(state.device)
    if not elsewhere:
        return
    count = sum(map(len, elsewhere.values()))
    where = next(iter(elsewhere))
    if len(elsewhere) == 1:
        one = count == 1
        devices = listed(elsewhere[where], _MOST_TOLD)
        what = f"{devices} {'hangs' if one else 'hang'} on {where}"
    else:
        hosts = listed(list(elsewhere), _MOST_TOLD)
        what = f"{plural(count, 'device')} hang on other computers ({hosts})"
    ways = [f"type the command on {where} (`ssh {where}`)"]
    if here:
        ways.insert(0, "add --here to leave out what hangs elsewhere")
    raise UsageError(
        f"{what}, and this is {host}",
        hint=f"{', '.join(ways)}, do all hosts by the Ansible collection (docs/ansible.md), or, "
        f"where this computer is meant, add `--host {where}`",
    )
