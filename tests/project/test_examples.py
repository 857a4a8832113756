"""Every manifest that is shown to users is valid: by this tool, and by jsonschema on its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from provision.errors import ManifestError
from provision.project.manifest_file import load
from provision.project.schemas import fleet_schema
from tests.fleets import write_tree

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "examples").rglob("fleet.yaml"))
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


PART = re.compile(r"# (\S+/\S+\.yaml)\n")  # a file that another includes
REFERENCE = (ROOT / "docs" / "manifest.md").read_text("utf-8")


class _Plain(yaml.SafeLoader):
    """Reads as an editor does, the two tags as text."""


for _tag in ("!secret", "!env"):
    _Plain.add_constructor(_tag, lambda loader, node: str(node.value))


def validate_as_editors_do(text: str) -> None:
    document: Any = yaml.load(text, Loader=_Plain)
    jsonschema.Draft202012Validator(fleet_schema()).validate(document)


def test_there_are_examples() -> None:
    names = {path.relative_to(ROOT / "examples").parts[0] for path in MANIFESTS}
    assert names >= {"minimal", "classroom", "greenhouse", "factory", "mixed", "ci"}
    started = {path.parent.name for path in (ROOT / "examples").glob("*/__main__.py")}
    assert started == names, "each is started by one command"
    listed = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert {name for name in names if f"`python3 examples/{name}`" in listed} == names


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_an_example_is_valid(path: Path) -> None:
    secrets = path.parent / "secrets.example.yaml"
    validate_as_editors_do(path.read_text("utf-8"))
    loaded = load(str(path), secrets=secrets if secrets.is_file() else None, environment={})
    try:
        states = (*loaded.states(), *loaded.sample_unit())
    except ManifestError as error:
        # Images and a CA are made or fetched by the reader; they are not kept here.
        made = re.compile(r"no such file: '(firmware|ca)/")
        assert [each for each in error.problems if not made.search(each.message)] == []
    else:
        assert len(states) == len(loaded.manifest.devices) + (loaded.manifest.station is not None)
        assert states
        assert all(state.files for state in states)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_an_example_names_its_schema(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    name = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / name).resolve() == ROOT / "schemas" / "fleet.schema.json"


def readme_manifests() -> list[str]:
    pages = (ROOT / "README.md", ROOT / "docs/manifest.md", ROOT / "docs/firmware.md")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    blocks = [block for block in BLOCK.findall(text) if not PART.match(block)]
    return [block for block in blocks if re.search(r"^devices:", block, re.MULTILINE)]


def make_up(path: Path) -> None:
    """A file that a manifest names: its reader's own, but for the table of the reference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = re.findall(r"^```csv\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)
    path.write_text(tables[0] if path.suffix == ".csv" else "")


def test_the_manifest_in_several_files_is_valid(tmp_path: Path) -> None:
    blocks = BLOCK.findall(REFERENCE)
    (whole,) = [block for block in blocks if re.search(r"^include:", block, re.MULTILINE)]
    parts = {found[1]: block for block in blocks if (found := PART.match(block))}
    for text in (whole, *parts.values()):
        validate_as_editors_do(text)
    write_tree(tmp_path, {"fleet.yaml": whole, **parts, "groups/app/main.py": ""})
    loaded = load(str(tmp_path))
    assert set(re.findall(r"\w+/\w+\.yaml", whole)) == parts.keys()
    assert [file.source for state in loaded.states() for file in state.files] == [
        "groups/app/main.py"
    ]


@pytest.mark.parametrize("text", readme_manifests())
def test_a_manifest_in_readme_or_reference_is_valid(tmp_path: Path, text: str) -> None:
    validate_as_editors_do(text)
    secrets = "".join(f"{name}: x\n" for name in re.findall(r"!secret (\w+)", text))
    environment = dict.fromkeys(re.findall(r"!env (\w+)", text), "x")
    write_tree(tmp_path, {"fleet.yaml": text, "secrets.yaml": secrets or "none: x\n"})
    # The files it names are its reader's own: make them up, as often as one is missing.
    for _ in range(50):
        try:
            load(str(tmp_path), environment=environment).states()
        except ManifestError as error:
            missing = {
                match[1]
                for problem in error.problems
                if (match := re.search(r"no such file(?: or folder)?: '([^']+)'", problem.message))
            }
            assert len(missing) > 0, [str(problem) for problem in error.problems]
            for name in missing:
                path = tmp_path / name
                if name.endswith("/"):
                    path.mkdir(parents=True)
                else:
                    make_up(path)
        else:
            return
    pytest.fail("still something missing")


def test_the_schema_is_valid_and_explains_every_property() -> None:
    schema = fleet_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    unexplained: list[str] = []

    def walk(part: Any, where: str) -> None:
        if not isinstance(part, dict):
            return
        for name, inner in part.get("properties", {}).items():
            explained = inner
            if "$ref" in inner:
                explained = schema["$defs"][inner["$ref"].rpartition("/")[2]]
            if not (explained.get("title") and explained.get("description")):
                unexplained.append(f"{where}.{name}")
        for key, inner in part.items():
            for each in inner if isinstance(inner, list) else [inner]:
                walk(each, f"{where}.{key}")
            if key in ("properties", "$defs", "patternProperties"):
                for name, each in inner.items():
                    walk(each, f"{where}.{name}")

    walk(schema, "")
    assert unexplained == []
