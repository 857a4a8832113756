"""Boards by the names of their releases on micropython.org: `board: LILYGO_TTGO_LORA32`.

`micropython.json` beside this module holds what MicroPython's own board.json files say
(`tools/import_boards.py` makes it). It is read when a name is asked for that no profile has: most
runs never do. A board becomes the generic profile of its chip with its own title and release.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from provision.boards import profiles
from provision.core.chips.registry import CHIPS
from provision.core.wording import closest, quoted
from provision.model.board import BoardProfile
from provision.model.language import record


@record
class ReleaseBoard:
    """One board.json: `name` is the release's, `variants` are its other builds with a word on
    each."""

    name: str
    product: str
    vendor: str
    chip: str
    features: tuple[str, ...]
    url: str
    variants: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Vendor and product, for people: some products begin with their vendor's name."""
        known = self.product.lower().startswith(self.vendor.lower())
        return self.product if known else f"{self.vendor} {self.product}"

    def matches(self, words: tuple[str, ...]) -> bool:
        """Whether each of the words stands in its name, title, chip or features."""
        said = " ".join((self.name, self.title, self.chip, *self.features)).lower()
        return all(word.lower() in said for word in words)


@record
class Catalogue:
    """What was imported. `others` are boards of ports that no chip family takes, with the port."""

    version: str
    boards: Mapping[str, ReleaseBoard]
    others: Mapping[str, str]


@cache
def catalogue() -> Catalogue:
    """The imported list, in the order of its names."""
    data = json.loads(Path(__file__).with_name("micropython.json").read_text("utf-8"))
    return Catalogue(
        version=data["micropython"],
        boards=MappingProxyType(
            {
                name: ReleaseBoard(name=name, **{**entry, "features": tuple(entry["features"])})
                for name, entry in data["boards"].items()
            }
        ),
        others=MappingProxyType(data["others"]),
    )


def release_profile(name: str) -> BoardProfile | None:
    """The profile of the board whose release has this name; None where none is like it. ValueError
    tells of a board that this tool does not provision, or of a name that is nearly this."""
    known = catalogue()
    if name in known.others:
        raise ValueError(
            f"{name} is a board of MicroPython's {known.others[name]} port, "
            "which this tool does not provision"
        )
    board = known.boards.get(name)
    if board is None:
        near = closest(name, known.boards) if name.isupper() or "_" in name else []
        if near:
            raise ValueError(f"unknown board {quoted(name)}; did you mean '{near[0]}'?")
        return None
    if board.chip not in CHIPS:
        raise ValueError(f"{name} has an {board.chip}, which this tool does not provision")
    return _profile(board)


def search(words: tuple[str, ...]) -> Iterator[BoardProfile]:
    """The boards in whose name, title, chip or features all of the words stand: built-in profiles
    first, then those that have their release's name alone."""
    for profile in profiles().values():
        said = " ".join(
            (profile.name, profile.title, profile.chip.name, profile.chip.label, profile.release)
        )
        if all(word.lower() in said.lower() for word in words):
            yield profile
    shown = {profile.release for profile in profiles().values()}
    for board in catalogue().boards.values():
        if board.chip in CHIPS and board.name not in shown and board.matches(words):
            yield _profile(board)


def names() -> tuple[str, ...]:
    """The names of all that can be provisioned, profiles first."""
    known = catalogue().boards.values()
    return (*profiles(), *(board.name for board in known if board.chip in CHIPS))


def _profile(board: ReleaseBoard) -> BoardProfile:
    generic = profiles()[board.chip]
    own = board.name == generic.release
    # What is said of the chip holds; which variant of the generic builds to take does not.
    quirks = [quirk for quirk in generic.quirks if own or "variant" not in quirk]
    if board.variants:
        said = ", ".join(f"{name} ({meaning})" for name, meaning in board.variants.items())
        quirks.append(f"Its builds have variants: {said}.")
    return replace(
        generic,
        name=board.name,
        title=board.title,
        release=board.name,
        quirks=tuple(quirks),
        url=f"https://micropython.org/download/{board.name}/",
    )
