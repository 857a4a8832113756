"""Every error a user can meet: what happened, on which device, why, and what to do next.

The tree, with the exit code each ends a run with::

    ProvisionError                     1
    ├── UsageError                     2  the command line asks for something impossible
    ├── ManifestError                  3  the manifest is invalid: every problem, located
    │   ├── TemplateError              3  a template cannot be rendered: one problem, in its file
    │   ├── ConfigError                3  the user's configuration file is invalid
    │   ├── LockError                  3  fleet.lock cannot be read or written
    │   └── SavedPlanError             3  a saved plan is damaged, or none of ours
    ├── SourceError                    3  a firmware image or other input cannot be used
    │   ├── ImageError                 3  an image is damaged, truncated, or of another kind
    │   └── CompileError               3  a Python source does not compile
    ├── DeviceError                    4  something went wrong on one device
    │   ├── Refused                    4  a safety rule forbids it; nothing was written
    │   ├── BoardError                 4  the board answered with an error
    │   │   ├── OutOfSpace             4  the files do not fit the board's filesystem
    │   │   ├── ReadOnly               4  a filesystem of the board takes no writes
    │   │   ├── CheckFailed            4  the app did not prove that it runs
    │   │   ├── CodeRaised             4  code that was run on the board raised an exception
    │   │   └── BoardRestarted         4  the board restarted while code ran on it
    │   ├── RolledBack                 4  the check failed, and the files from before are back
    │   ├── FlashFailed                4  erasing or writing the flash failed
    │   └── Unreachable                5  the device cannot be talked to
    │       ├── PortNotFound           5  no such port, or nothing plugged in
    │       ├── PortBusy               5  another process owns the port
    │       ├── PortDenied             5  no permission to open the port
    │       ├── PortLost               5  the port vanished while in use
    │       ├── NoAnswer               5  the board does not answer
    │       └── ManualActionRequired   5  a person must act: press a button, plug it in
    ├── LedgerError                    2  a station's ledger cannot be used, or forbids it
    ├── SimulatorError                 2  a virtual board cannot be brought up, or is not there
    └── Interrupted                  130  the user stopped the run

An error carries a message (what happened and why), a hint (what to do next) and, where one
device is concerned, its name. Other libraries' exceptions become one of these at the adapter
that calls them; anything else that reaches the command line is an internal error, exit code 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A position in a text file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One located mistake: `fleet.yaml:14:9: devices.kitchen.board: unknown board …`.

    `path` is the dotted key path inside the document ("" at its top); `source` is the text of
    the line it stands on, for a caret below it, or None where there is no line to show. `hint` is
    what to do about it, where that is not to correct the line.
    """

    place: Place
    path: str
    message: str
    source: str | None = None
    hint: str | None = None

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By file, then line, then column."""
        place = self.place
        return (place.file, place.line, place.column, self.path, self.message)

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}: " if self.path else f"{self.place}: "
        return where + self.message


class ProvisionError(Exception):
    """The root: `message` says what and why, `hint` what to do next, `device` where."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = "run again with --debug and report what it prints"

    def __init__(self, message: str, *, hint: str | None = None, device: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.device = device

    def on(self, device: str) -> ProvisionError:
        """Name the device this happened on, unless it is named already; returns itself."""
        if self.device is None:
            self.device = device
        return self


class UsageError(ProvisionError):
    code = "usage"
    exit_code = 2
    default_hint = "see `provision --help`"


class ManifestError(ProvisionError):
    """The manifest is invalid; `problems` holds every located problem, sorted by place."""

    code = "manifest"
    exit_code = 3
    default_hint = "correct the lines named above, then try `provision validate`"

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.sort_key))
        hints = {problem.hint for problem in self.problems}
        if hint is None and len(hints) == 1:
            hint = hints.pop()
        count = len(self.problems)
        super().__init__(f"the manifest has {count} problem{'s' if count != 1 else ''}", hint=hint)


class TemplateError(ManifestError):
    """One template cannot be rendered; `problem` stands in the template's own file and line."""

    code = "template"
    default_hint = "correct the template at the line named above, then try `provision validate`"

    def __init__(self, problem: Problem, *, hint: str | None = None) -> None:
        super().__init__([problem], hint=hint)
        self.args = (str(problem),)
        self.message = str(problem)
        self.problem = problem


class ConfigError(ManifestError):
    """The user's configuration is invalid; `problems` holds every located problem."""

    code = "config"
    default_hint = "correct the lines named above, then try `provision config`"

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__(problems, hint=hint or self.default_hint)
        count = len(self.problems)
        self.message = f"the configuration has {count} problem{'s' if count != 1 else ''}"
        self.args = (self.message,)


class LockError(ManifestError):
    """The lock file is damaged (then `problems` say where) or out of reach."""

    code = "lock"
    default_hint = "restore fleet.lock from version control; it is never overwritten when damaged"

    def __init__(
        self, message: str, problems: Sequence[Problem] = (), *, hint: str | None = None
    ) -> None:
        super().__init__(problems, hint=hint)
        self.args = (message,)
        self.message = message


class SavedPlanError(ManifestError):
    """A file with a saved plan cannot be used; `problem` stands where."""

    code = "saved-plan"
    default_hint = "make it anew with `provision plan --out FILE`; it is not meant to be edited"

    def __init__(self, problem: Problem, *, hint: str | None = None) -> None:
        super().__init__([problem], hint=hint)
        self.args = (str(problem),)
        self.message = f"{problem.place.file} is no plan that can be carried out"
        self.problem = problem


class SourceError(ProvisionError):
    code = "source"
    exit_code = 3
    default_hint = "check the firmware table of the manifest"


class ImageError(SourceError):
    code = "image"
    default_hint = "download the image again; it must be that of a release for this board"


class CompileError(SourceError):
    """A source does not compile: why, at which of its lines."""

    code = "compile"
    default_hint = "correct the source; MicroPython has a subset of Python's syntax"

    def __init__(self, name: str, reason: str, *, line: int) -> None:
        super().__init__(f"{name} does not compile: line {line}: {reason}")
        self.reason = reason
        self.line = line


class DeviceError(ProvisionError):
    code = "device"
    exit_code = 4
    default_hint = "run again; what is done already is not done twice"


class Refused(DeviceError):
    code = "refused"
    default_hint = "nothing was written; check that the right board is on this port"


class BoardError(DeviceError):
    code = "board"
    default_hint = "run again with -vv to see the conversation with the board"


class OutOfSpace(BoardError):
    code = "out-of-space"
    default_hint = "remove files, prune what is no longer needed, or use a board with more flash"


class ReadOnly(BoardError):
    code = "read-only"
    default_hint = (
        "a card may have its write protection on, or the app mounts it read-only: "
        "leave it out of the manifest, or mount it writable and run `provision apply` again"
    )


class CheckFailed(BoardError):
    code = "check-failed"
    default_hint = (
        "open a REPL on the port to see why the app does not start; `provision check` asks it again"
    )


class CodeRaised(BoardError):
    code = "code-raised"
    default_hint = "its traceback is above; correct the code and run it again"


class BoardRestarted(BoardError):
    code = "board-restarted"
    default_hint = (
        "the code, its app's watchdog or the power supply may do that; "
        "to restart boards there is `provision reset`"
    )


class RolledBack(DeviceError):
    code = "rolled-back"
    default_hint = (
        "the board runs what it had before; mend the new app, and `provision apply` tries it again"
    )


class FlashFailed(DeviceError):
    code = "flash-failed"
    default_hint = "try a lower baud rate, a shorter cable, or a port directly on the computer"


class Unreachable(DeviceError):
    code = "unreachable"
    exit_code = 5
    default_hint = "check cable and power, then run again"


class PortNotFound(Unreachable):
    code = "port-not-found"
    default_hint = "plug the board in; `provision discover` lists what is there"


class PortBusy(Unreachable):
    code = "port-busy"
    default_hint = "close the other program that uses the port"


class PortDenied(Unreachable):
    code = "port-denied"
    default_hint = (
        "add yourself to the group that owns the port (often `dialout`) and log in again; no sudo"
    )


class PortLost(Unreachable):
    code = "port-lost"
    default_hint = "plug the board in again, directly rather than through a hub, and run again"


class NoAnswer(Unreachable):
    code = "no-answer"
    default_hint = "press RESET, check that the cable carries data, and run again"


class ManualActionRequired(Unreachable):
    code = "manual-action-required"
    default_hint = "put the board in download mode by hand, then run again on a terminal"


class LedgerError(ProvisionError):
    code = "ledger"
    exit_code = 2
    default_hint = (
        "nothing was changed; copy the file aside before anything else, with those named "
        "-wal and -shm beside it"
    )


class SimulatorError(ProvisionError):
    code = "simulator"
    exit_code = 2
    default_hint = "install the virtual boards with `pip install 'micropython-provision[sim]'`"


class Interrupted(ProvisionError):
    code = "interrupted"
    exit_code = 130
    default_hint = "run again; it goes on from where it stopped"
