"""What the engine hands to a board to change its files: actions, and what the files are to hold."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from provision.model.plan import DeleteFile, FileAction, MakeDirectory, RemoveDirectory, WriteFile
from provision.model.state import Content

Step = tuple[FileAction, Content | None]


class Lie(Content):
    """A content that says to have the sha256 of another."""

    @cached_property
    def sha256(self) -> str:
        return "cd" * 32


def write_file(path: str, data: bytes) -> Step:
    return write_content(path, Content(data=data))


def write_content(path: str, content: Content) -> Step:
    action = WriteFile(path=path, size=content.size, sensitive=False, reason="a test says so")
    return action, content


def delete_file(path: str) -> Step:
    return DeleteFile(path=path, reason="a test says so"), None


def make_directory(path: str) -> Step:
    return MakeDirectory(path=path, reason="a test says so"), None


def remove_directory(path: str) -> Step:
    return RemoveDirectory(path=path, reason="a test says so"), None


def transfer_of(steps: Iterable[Step]) -> tuple[list[FileAction], dict[str, Content]]:
    """The steps in the form that `Repl.transfer` takes them."""
    steps = list(steps)
    contents = {action.path: content for action, content in steps if content is not None}
    return [action for action, _ in steps], contents
