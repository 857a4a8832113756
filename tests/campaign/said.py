"""What the tool has said in a run, as far as it can be told from its output and its records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.campaign.bench import Ended


def events(text: str) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "kind" in event:
            found.append(event)
    return found


def all_well(ended: Ended) -> bool:
    """Whether every device that was begun was brought to its end, as far as can be told."""
    told = outcomes(ended)
    recap = re.search(r"failed=0 unreachable=0(?! .*interrupted=[1-9])", ended.out)
    return bool(recap) if not told else set(told.values()) <= {"ok", "changed", "skipped"}


def failures(ended: Ended) -> str:
    """What the devices that failed say, whichever way it was told."""
    told = [
        f"{event['device']}: {event['outcome']}: {event['error']} ({event['hint']})"
        for event in events(ended.out)
        if event["kind"] == "device-finished" and event.get("error")
    ]
    if told:
        return "; ".join(told)
    return " | ".join(line for line in ended.err.splitlines() if line.strip())[-400:]


def failed(ended: Ended) -> set[str]:
    """The devices that failed."""
    told = outcomes(ended)
    if told:
        return {name for name, outcome in told.items() if outcome not in ("ok", "changed")}
    lines = re.findall(r"^(\w+): (?:unreachable|failed|refused)\b", ended.said, re.M)
    return set(lines)


def outcomes(ended: Ended) -> dict[str, str]:
    finished = [event for event in events(ended.out) if event["kind"] == "device-finished"]
    return {event["device"]: event["outcome"] for event in finished}


def actions(ended: Ended) -> list[str]:
    return [
        f"{event['action']['kind']} {event['action'].get('path', '')}".strip()
        for event in events(ended.out)
        if event["kind"] == "action-done"
    ]


def shown(content: bytes | None) -> str:
    return "nothing" if content is None else f"{len(content)} bytes {content[:24]!r}"


class Told:
    """What all plans of a run have said that they would do to the flash."""

    def __init__(self) -> None:
        self.erases = False
        self.rewrites = False
        self._losses: set[str] = set()
        self._text = ""

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.erases |= bool(re.search(r'"erase-flash"|^.*\berase the .*flash', text, re.M))
            self.rewrites |= bool(re.search(r'"rewrite-filesystem"|rewrite the filesystem', text))
            for event in events(text):
                for action in (event.get("plan") or {}).get("actions", ()):
                    self._losses.update(action.get("losses", ()))
            self._text += "".join(re.findall(r"^.*\blosing .*$", text, re.M))

    def names(self, thing: str) -> bool:
        """Whether a plan said that this would be lost."""
        if any(loss == thing or loss.startswith(f"{thing} (") for loss in self._losses):
            return True
        return thing in self._text or bool(re.search(r"\d+ more", self._text))

    def names_file(self, path: str) -> bool:
        """The same of a file, or why nobody can say which files would be."""
        unread = "a filesystem that"
        told = unread in self._text or any(loss.startswith(unread) for loss in self._losses)
        return told or self.names(path.encode("utf-8", "backslashreplace").decode())
