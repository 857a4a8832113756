"""Manifests on disk for tests: a dict of paths and texts becomes a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from provision.errors import ManifestError
from provision.project.manifest_file import Loaded, load


def write_tree(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")


def fleet(
    folder: Path, manifest: str, files: Mapping[str, str] | None = None, **options: object
) -> Loaded:
    """The manifest, loaded from a folder that holds these files beside it."""
    write_tree(folder, {**(files or {}), "fleet.yaml": manifest})
    environment = options.pop("environment", {})
    assert isinstance(environment, dict)
    secrets = options.pop("secrets", None)
    assert secrets is None or isinstance(secrets, Path)
    return load(str(folder / "fleet.yaml"), secrets=secrets, environment=environment)


def problems(
    folder: Path, manifest: str, files: Mapping[str, str] | None = None, **options: object
) -> list[str]:
    """What is wrong with a manifest, as lines without the folder's own name; [] for nothing."""
    try:
        fleet(folder, manifest, files, **options).states()
    except ManifestError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []
