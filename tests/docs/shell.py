"""The shell of a page: its commands are run one after the other in a fresh folder, with folders of
their own for boards, locks and records, and what the page's author types and does meanwhile.
"""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from provision.sim import client
from tests.docs.page_script import Command

PATIENCE = 60.0  # seconds: far beyond what a command of a page takes

# What is told of a Ctrl-C, and of a machine on which too many others watch files.
OF_NO_PAGE = ("stopping: ", "stopping; ", "interrupted", "the system does not tell of changes")

# What setups say in one word.
PRELUDE = """
set -o pipefail
firmware() {  # CHIP VERSION: the path of an image for virtual boards
    local image=$IMAGES/$1-$2.bin
    [ -e "$image" ] || provision sim firmware --chip "$1" --version "$2" -o "$image" >&2 || return
    echo "$image"
}
board() {  # NAME CHIP [VERSION [KEY=VALUE ...]]: plug in a virtual board, blank without a version
    local name=$1 chip=$2 version=$3 image; shift; shift; [ $# = 0 ] || shift
    if [ -n "$version" ]
    then image=$(firmware "$chip" "$version") && set -- "firmware=$image" "$@"
    fi
    provision sim up --chip "$chip" "${@/#/--set=}" "$name" >&2
}
"""


@dataclass
class Streams:
    """What a command says, as it comes; `await_text` waits for something new in it."""

    out: str = ""
    err: str = ""
    both: str = ""
    ended: int = 0  # of both; a terminal has one
    seen: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, name: str, text: str) -> None:
        with self.changed:
            setattr(self, name, getattr(self, name) + text)
            self.both += text
            self.ended += not text
            self.changed.notify_all()

    def await_text(self, text: str) -> None:
        """Wait until `text` comes after what was waited for last."""
        with self.changed:
            came = self.changed.wait_for(
                lambda: text in self.both[self.seen :] or self.ended == 2, PATIENCE
            )
            assert came and text in self.both[self.seen :], f"no {text!r} in:\n{self.both}"
            self.seen = self.both.index(text, self.seen) + len(text)


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands; folder and variables of one are those of the next."""

    def __init__(self, home: Path, index: str) -> None:
        self.home = home
        self.index = index
        self.folder = home / "greenhouse"
        for each in ("greenhouse", "images", "tmp"):
            (home / each).mkdir()
        self.prelude = home / "prelude.sh"
        self.prelude.write_text(PRELUDE)
        (home / "cwd").write_text(str(self.folder))
        (home / "variables.sh").write_text("")

    @property
    def environment(self) -> dict[str, str]:
        kept = ("LANG", "LC_ALL", "SYSTEMROOT", "PYTHONPATH")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **{
                f"PROVISION_{name}": str(self.home / folder)
                for name, folder in (
                    ("SIM_HOME", "boards"),
                    ("STATE_DIR", "state"),
                    ("RUNTIME_DIR", "run"),
                    ("CACHE_DIR", "cache"),
                )
            },
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "IMAGES": str(self.home / "images"),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "PROVISION_INDEX": self.index,
        }

    def as_at_home(self, text: str) -> str:
        """What was said, with the folders that its reader has."""
        boards = "/home/you/.local/state/provision/sim"
        return text.replace(str(self.home / "boards"), boards).replace(str(self.home), "/home/you")

    def run(self, command: Command) -> Said:
        """Run a command of a page with the steps that go with it."""
        text, terminal, steps = command.text, "", []
        for step in command.steps:
            word, _, rest = step.partition(" ")
            if word == "run":
                text = rest
            elif word in ("terminal", "screen"):
                terminal = word
            else:
                steps.append((word, rest))
        process, streams, keyboard, readers = self._start(text, terminal=terminal)
        try:
            for word, rest in steps:
                self._do(word, rest, process, streams, keyboard)
            code = process.wait(PATIENCE)
            with streams.changed:
                assert streams.changed.wait_for(lambda: streams.ended == 2, PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for reader in readers:
                reader.join(PATIENCE)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            if keyboard is not None:
                os.close(keyboard)
        err = [each for each in streams.err.splitlines(True) if not each.startswith(OF_NO_PAGE)]
        return Said(code=code, out=streams.out, err="".join(err).rstrip("\n"))

    def setup(self, script: str) -> None:
        """Run lines of which each must succeed."""
        said = self.run(Command(line=0, text=f"set -e\n{script}"))
        assert said.code == 0, f"setup:\n{script}\n{said.out}{said.err}"

    def write(self, name: str, text: str) -> None:
        path = Path((self.home / "cwd").read_text().rstrip("\n")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def close(self) -> None:
        """End the virtual boards."""
        boards = self.home / "boards"
        for board in boards.iterdir() if boards.is_dir() else ():
            client.stop(board.name)

    def _do(
        self,
        word: str,
        rest: str,
        process: subprocess.Popen[bytes],
        streams: Streams,
        keyboard: int | None,
    ) -> None:
        if word == "await":
            streams.await_text(rest)
        elif word == "do":
            self.setup(rest)
        elif word == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
        elif word in ("type", "key"):
            assert keyboard is not None, "only on a terminal"
            os.write(keyboard, bytes.fromhex(rest) if word == "key" else f"{rest}\n".encode())
        else:
            raise AssertionError(f"no such step: {word} {rest}")

    def _start(
        self, text: str, *, terminal: str
    ) -> tuple[subprocess.Popen[bytes], Streams, int | None, list[threading.Thread]]:
        home = shlex.quote(str(self.home))
        script = (
            f'cd "$(cat {home}/cwd)"; . {home}/variables.sh; . {home}/prelude.sh\n'
            f"trap 'pwd > {home}/cwd; export -p > {home}/variables.sh' EXIT\n{text}\n"
        )
        keyboard = slave = None
        if terminal:
            keyboard, slave = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", script],
            stdin=subprocess.DEVNULL if slave is None else slave,
            stdout=slave if terminal == "screen" else subprocess.PIPE,
            stderr=subprocess.PIPE if slave is None else slave,
            env=self.environment,
            start_new_session=True,
        )
        streams = Streams()
        sources = {"err": keyboard}
        if slave is not None:
            os.close(slave)
        if process.stderr is not None:
            sources["err"] = process.stderr.fileno()
        if process.stdout is not None:
            sources["out"] = process.stdout.fileno()
        streams.ended = 2 - len(sources)
        readers = [
            threading.Thread(target=_drain, args=(source, name, streams), daemon=True)
            for name, source in sources.items()
        ]
        for reader in readers:
            reader.start()
        return process, streams, keyboard, readers


def _drain(source: int, name: str, streams: Streams) -> None:
    while True:
        try:
            data = os.read(source, 65536)
        except OSError:  # a terminal whose other side is closed
            data = b""
        streams.add(name, data.decode("utf-8", "replace"))
        if not data:
            return
