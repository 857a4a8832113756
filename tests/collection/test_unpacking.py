"""How a project is brought to a host: whole, or to be brought again."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from provision.project.manifest_file import load
from tests.fleets import write_tree

PLACE = Path(__file__).parents[2] / "ansible/plugins/module_utils/command.py"


@pytest.fixture(scope="module")
def command() -> ModuleType:
    """The module as Ansible has it on a host."""
    pytest.importorskip("ansible", reason="needs ansible-core")
    spec = spec_from_file_location("command", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packed(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    path = folder / f"{name}.tar"
    with tarfile.open(path, "w") as tar:
        for member, text in files.items():
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path


def lying_in(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in files
        if not path.name.startswith(".provision")
    }


def known(folder: Path) -> str | None:
    digest: str | None = json.loads((folder / ".provision-project").read_text())["digest"]
    return digest


def test_a_project_that_was_cut_off_is_none(command: ModuleType, tmp_path: Path) -> None:
    old = {"fleet.yaml": "a", "src/main.py": "old", "src/gone.py": "x"}
    new = {"fleet.yaml": "b", "src": "a file now", "more/new.py": "y"}
    one, two = packed(tmp_path, "one", old), packed(tmp_path, "two", new)
    host = tmp_path / "host"
    host.mkdir()
    with command.unpacked(one, str(host), "1"):
        assert known(host) is None
    assert (lying_in(host), known(host)) == (old, "1")
    assert {path.stat().st_mode & 0o777 for path in host.rglob("*.*")} == {0o600}
    with pytest.raises(KeyboardInterrupt), command.unpacked(two, str(host), "2"):
        raise KeyboardInterrupt
    assert known(host) is None, "it is neither the old one nor the new one"
    with command.unpacked(two, str(host), "2"):
        pass
    assert (lying_in(host), known(host)) == (new, "2")
    (host / "fleet.ledger").write_text("made here")
    with command.unpacked(one, str(host), "1"):
        pass
    assert (lying_in(host), known(host)) == ({**old, "fleet.ledger": "made here"}, "1")


def test_what_a_host_has_learned_outlives_a_task_that_is_cut_off(
    command: ModuleType, tmp_path: Path
) -> None:
    lock = tmp_path / "fleet.lock"
    lock.write_text("learned here")
    learned = Path(command.put_aside(str(lock)))
    lock.write_text("the controller's, and then it was cut off")
    assert command.put_aside(str(lock)) == str(learned)
    assert learned.read_text() == "learned here"


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a//x"])
def test_nothing_is_unpacked_elsewhere(command: ModuleType, tmp_path: Path, name: str) -> None:
    host = tmp_path / "host"
    host.mkdir()
    evil = packed(tmp_path, "evil", {name: "x"})
    with (
        pytest.raises(ValueError, match="is no path of a project"),
        command.unpacked(evil, str(host), "1"),
    ):
        pass
    assert lying_in(tmp_path) == {"evil.tar": (tmp_path / "evil.tar").read_text()}


def test_no_link_of_an_older_project_is_followed(command: ModuleType, tmp_path: Path) -> None:
    host, elsewhere = tmp_path / "host", tmp_path / "elsewhere"
    host.mkdir()
    elsewhere.mkdir()
    (host / "src").symlink_to(elsewhere)
    with command.unpacked(packed(tmp_path, "one", {"src/main.py": "x"}), str(host), "1"):
        pass
    assert lying_in(elsewhere) == {}
    assert lying_in(host) == {"src/main.py": "x"}


def test_what_a_manifest_is_made_of_comes_along(tmp_path: Path) -> None:
    pytest.importorskip("ansible", reason="needs ansible-core")
    place = Path(__file__).parents[2] / "ansible/plugins/plugin_utils/controller.py"
    spec = spec_from_file_location("controller", place)
    assert spec is not None
    assert spec.loader is not None
    controller = module_from_spec(spec)
    spec.loader.exec_module(controller)
    files = {
        "fleet.yaml": "include: [rooms/101.yaml]\ndefaults: {board: esp32}\n",
        "rooms/101.yaml": "devices: {'desk-{{ seat }}': {csv: class.csv, files: [main.py]}}\n",
        "rooms/class.csv": "seat\n01\n02\n",
        "rooms/main.py": "x = 1\n",
    }
    write_tree(tmp_path / "project", files)
    names = controller.files_below(str(tmp_path / "project"))
    assert names == sorted(files)
    write_tree(tmp_path / "host", {name: files[name] for name in names})
    states = load(str(tmp_path / "host")).states()
    assert [state.device for state in states] == ["desk-01", "desk-02"]
