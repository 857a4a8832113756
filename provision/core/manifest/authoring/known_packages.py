"""Which packages the files of a board are, by what fleet.lock holds of each."""

from __future__ import annotations

from collections.abc import Mapping


def known_packages(
    files: Mapping[str, str], packages: Mapping[str, Mapping[str, str]]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """The packages that are there whole, each file by its path and sha256, and the paths of their
    files. One that adds nothing to those with more files is left out."""
    found: list[str] = []
    covered: set[str] = set()
    for name in sorted(packages, key=lambda name: (-len(packages[name]), name)):
        package = packages[name]
        whole = all(files.get(path) == sha256 for path, sha256 in package.items())
        if package and whole and not package.keys() <= covered:
            found.append(name)
            covered |= package.keys()
    return tuple(sorted(found)), frozenset(covered)
