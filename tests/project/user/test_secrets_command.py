"""Secrets that a command prints: what it is given, what is made of what it prints, and what is said
of one that prints nothing of use. The commands are real programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.core.manifest.redact import Redactor
from provision.project.user.config import SecretsSettings
from provision.project.user.programs import find_program
from provision.project.user.secrets_command import Answers, SecretsCommand

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands are shell scripts")

NOTHING = Redactor(())


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., SecretsCommand]:
    """A command that runs this shell script; its arguments as in the configuration."""
    (tmp_path / "config").mkdir()

    def make(
        script: str,
        *arguments: str,
        timeout: float = 20.0,
        folders: tuple[Path, ...] | None = None,
    ) -> SecretsCommand:
        program = tmp_path / "store"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return SecretsCommand(
            SecretsSettings(
                command=(str(program), *arguments),
                timeout=timeout,
                folders=folders,
                source=tmp_path / "config" / "config.yaml",
            )
        )

    return make


Make = Callable[..., SecretsCommand]


def ask(command: SecretsCommand, *names: str, folder: Path = Path("/")) -> Answers:
    return command.answer(names, folder, NOTHING)


def texts(answers: Answers) -> dict[str, str]:
    assert not answers.faults, answers.faults
    return {name: secret.reveal() for name, secret in answers.values.items()}


PRINTED = [
    (r"printf 'hunter2\n'", "hunter2"),
    (r"printf 'hunter2'", "hunter2"),
    (r"printf 'hunter2\r\n'", "hunter2"),
    (r"printf 'two\nlines\n\n'", "two\nlines\n"),
    (r"printf ' \303\251 '", " é "),
    (r"printf 'x\n'; echo warning >&2", "x"),
]


@pytest.mark.parametrize(("script", "value"), PRINTED)
def test_the_value_is_what_it_prints(command: Make, script: str, value: str) -> None:
    assert texts(ask(command(script, "{name}"), "wifi")) == {"wifi": value}


FAULTS = [
    ("exit 3", "`STORE get a/wifi` ended with 3"),
    ("echo first >&2; echo '  no such entry ' >&2; exit 1", "ended with 1: no such entry"),
    ("kill -9 $$", "was ended by SIGKILL"),
    ("exec sleep 1000", "was not done after 0.3 s, and was ended"),
    ("true", "printed nothing"),
    ("echo; echo it is locked >&2", "printed nothing: it is locked"),
    (r"printf '\377'", "printed what is no text in UTF-8"),
    (r"printf 'a\000b'", "printed what is no text: there is a NUL in it"),
    ("while true; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "printed more than 64 KB"),
]


@pytest.mark.parametrize(("script", "fault"), FAULTS)
def test_what_is_said_of_one_that_is_of_no_use(
    command: Make, tmp_path: Path, script: str, fault: str
) -> None:
    timeout = 0.3 if "0.3 s" in fault else 20.0
    answers = ask(command(script, "get", "a/{name}", timeout=timeout), "wifi")
    assert answers.values == {}
    said = answers.faults["wifi"].replace(str(tmp_path / "store"), "STORE")
    assert said.startswith("could not be looked up: `STORE get a/wifi` ")
    assert fault in said


def test_one_that_is_not_there(tmp_path: Path) -> None:
    for program in ("no-such-program", str(tmp_path / "gone")):
        settings = SecretsSettings(command=(program, "{name}"), source=tmp_path / "c.yaml")
        assert "cannot be run: " in ask(SecretsCommand(settings), "x").faults["x"]


def test_no_fault_shows_a_secret(command: Make) -> None:
    """Neither another's, nor one of a secrets file."""
    made = command(
        'case "$1" in good) echo correct-horse;; '
        "*) echo 'bad correct-horse, of-a-file' >&2; exit 1;; esac",
        "{name}",
    )
    answers = made.answer(["good", "bad"], Path("/"), Redactor(["of-a-file"]))
    assert answers.faults["bad"].endswith("ended with 1: bad ***, ***")


def test_a_secret_of_several_lines_is_masked_whole(command: Make) -> None:
    made = command(r"printf 'x first line\nlast line' >&2; exit 1", "{name}")
    answers = made.answer(["key"], Path("/"), Redactor(["first line\nlast line"]))
    assert answers.faults["key"].endswith("ended with 1: x ***")


@pytest.mark.parametrize("arguments", [["{name}"], []])
def test_of_one_that_had_printed_something_nothing_is_shown(
    command: Make, arguments: list[str]
) -> None:
    """It may be a secret, in whatever notation."""
    made = command(
        """printf '{"wifi": "two words'; echo 'bad: two words' >&2; exit 1""", *arguments
    )
    assert (
        ask(made, "wifi")
        .faults["wifi"]
        .endswith("ended with 1; what it said is not shown, as it had printed what may be secret")
    )


NAMES = [
    ("wifi", True),
    ("a/b_c.d-e@f+1", True),
    ("0", True),
    ("-rf", False),
    ("../wifi", False),
    ("a/../b", False),
    ("a..b", False),
    ("/etc/passwd", False),
    ("a//b", False),
    ("a/", False),
    ("a/-b", False),
    ("a b", False),
    ("a;b", False),
    ("$(a)", False),
    ("a\nb", False),
    ("é", False),
    ("x" * 201, False),
]


@pytest.mark.parametrize(("name", "good"), NAMES)
def test_what_a_manifest_may_have_it_asked_for(command: Make, name: str, good: bool) -> None:
    answers = ask(command('printf "%s" "$1"', "{name}"), name)
    if good:
        assert texts(answers) == {name: name}
    else:
        assert "asked only for names of letters" in answers.faults[name]


def test_the_folder_of_the_manifest_is_given_and_not_gone_to(command: Make, tmp_path: Path) -> None:
    project = tmp_path / "{name}"
    project.mkdir()
    made = command('printf "%s|%s|%s" "$PWD" "$1" "$2"', "--in={folder}/x", "{name}")
    config = tmp_path / "config"
    assert texts(ask(made, "wifi", folder=project)) == {"wifi": f"{config}|--in={project}/x|wifi"}


def test_only_manifests_of_these_folders(command: Make, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in" / "room", tmp_path / "inside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "in" / "link").symlink_to(outside)
    made = command("echo x", "{name}", folders=(tmp_path / "in",))
    assert texts(ask(made, "a", folder=inside)) == {"a": "x"}
    for folder in (outside, tmp_path / "in" / "link", tmp_path):
        assert "of other folders only" in ask(made, "a", folder=folder).faults["a"]


def test_each_is_asked_for_once_and_again_where_it_failed(command: Make, tmp_path: Path) -> None:
    made = command(f'echo "$1" >> {tmp_path}/asked; [ "$1" = good ] && echo x || exit 1', "{name}")
    for _ in range(2):
        ask(made, "good", "bad", "good")
    asked = (tmp_path / "asked").read_text().split()
    assert sorted(asked) == ["bad", "bad", "good"]


def test_several_are_asked_for_side_by_side(command: Make, tmp_path: Path) -> None:
    """Each ends when the other one is there."""
    made = command(
        f"mkfifo {tmp_path}/$1; case $1 in a) echo > {tmp_path}/a;; *) until [ -p {tmp_path}/a ]; "
        f"do sleep 0.01; done; read x < {tmp_path}/a;; esac; echo $1",
        "{name}",
    )
    assert texts(ask(made, "a", "b")) == {"a": "a", "b": "b"}


@pytest.mark.parametrize("script", ["sleep 1000 & exec yes", "sleep 1000 & exit 1"])
def test_what_it_has_started_ends_with_it(command: Make, tmp_path: Path, script: str) -> None:
    """It would hold the pipe open."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    made = command(f"exec 3> {pipe}; echo begun >&3; {script}", "{name}")
    assert "x" in ask(made, "x").faults
    os.set_blocking(reader, True)
    with os.fdopen(reader) as stream:
        assert stream.read() == "begun\n"


ALL = [
    ("printf 'wifi: hunter2\\npin: 0042\\nflag: on\\n'", {"wifi": "hunter2", "pin": "0042"}),
    ("printf '{\"wifi\": \"a\\\\nb\", \"pin\": 1e3}'", {"wifi": "a\nb", "pin": "1e3"}),
    ("printf '{\\n\\t\"wifi\": \"tabs\",\\n\\t\"flag\": true\\n}\\n'",
     {"wifi": "tabs", "flag": "true"}),
    ("printf 'wifi: x\\nnested: {a: b}\\nempty:\\n'", {"wifi": "x"}),
    ("printf \"wifi: ''\\n\"", {"wifi": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("script", "values"), ALL)
def test_one_that_prints_all(command: Make, script: str, values: dict[str, str]) -> None:
    assert texts(ask(command(script), *values)) == values


NOT_ALL = [
    ("printf 'wifi: x\\n'", "pin", "is in nothing that `STORE` printed"),
    ("printf 'wifi: x\\n'", "wify", "is in nothing that `STORE` printed; did you mean 'wifi'?"),
    ("printf 'wifi: {a: b}\\n'", "wifi", "is no text in what `STORE` printed"),
    ("printf 'wifi: !env X\\n'", "wifi", "is no text in what `STORE` printed"),
    ('printf \'{"wifi": ["x"]}\'', "wifi", "is no text in what `STORE` printed"),
    ('printf \'{"wifi": "\\\\ud800"}\'', "wifi", "is no text in what `STORE` printed"),
    ("printf 'wifi: x\\nhunter2\\n'", "wifi", "`STORE` printed what are not all"),
    ("printf '%s\\n' - hunter2", "wifi", "`STORE` printed what are not all"),
]


@pytest.mark.parametrize(("script", "name", "fault"), NOT_ALL)
def test_what_is_said_of_what_is_not_among_all(
    command: Make, tmp_path: Path, script: str, name: str, fault: str
) -> None:
    said = ask(command(script), name).faults[name]
    assert fault in said.replace(str(tmp_path / "store"), "STORE")
    assert "hunter2" not in said


def test_it_is_no_program_of_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where PATH says so, with a dot or an empty part."""
    for folder in ("project", "bin"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "store").write_text("#!/bin/sh\n")
        (tmp_path / folder / "store").chmod(0o755)
    monkeypatch.chdir(tmp_path / "project")
    for path in (f":.:{tmp_path}/bin", f"../project:{tmp_path}/bin"):
        assert find_program("store", {"PATH": path}) == f"{tmp_path}/bin/store"
    with pytest.raises(FileNotFoundError):
        find_program("store", {"PATH": ":.:"})
