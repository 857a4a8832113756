"""Packages among the files of a board, by their sha256."""

from __future__ import annotations

import pytest

from provision.core.manifest.authoring.known_packages import known_packages

PACKAGES = {
    "one": {"/lib/one.py": "1"},
    "two": {"/lib/two.py": "2", "/lib/one.py": "1"},
    "three": {"/lib/three/__init__.py": "3"},
    "none": {},
}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, ()),
        ({"/lib/one.py": "1"}, ("one",)),
        ({"/lib/one.py": "1", "/lib/two.py": "2"}, ("two",)),
        ({"/lib/one.py": "1", "/lib/two.py": "edited"}, ("one",)),
        ({"/one.py": "1"}, ()),
        ({"/lib/three/__init__.py": "3", "/lib/one.py": "1", "/main.py": "m"}, ("one", "three")),
    ],
)
def test_a_package_is_there_whole_or_not(files: dict[str, str], found: tuple[str, ...]) -> None:
    names, covered = known_packages(files, PACKAGES)
    assert names == found
    assert covered == {path for name in found for path in PACKAGES[name]}
