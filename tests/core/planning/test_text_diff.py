"""--diff: unified text where there is text to show, sizes otherwise, and never a secret."""

from __future__ import annotations

from provision.core.planning.text_diff import MAX_LINES, file_diff
from provision.model.state import Content


def shown(old: bytes | None, new: bytes | None, *secrets: str) -> list[str]:
    content = None if new is None else Content(data=new, secrets=frozenset(secrets))
    return list(file_diff("/main.py", old, content))


def test_text_is_a_unified_diff() -> None:
    assert shown(b"a\nb\nc\n", b"a\nB\nc\n") == [
        "--- board:/main.py", "+++ manifest:/main.py", "@@ -1,3 +1,3 @@", " a", "-b", "+B", " c",
    ]  # fmt: skip


def test_new_and_deleted_files() -> None:
    assert shown(None, b"a\n") == ["--- (none)", "+++ manifest:/main.py", "@@ -0,0 +1 @@", "+a"]
    assert shown(b"a\n", None) == ["--- board:/main.py", "+++ (none)", "@@ -1 +0,0 @@", "-a"]
    assert shown(b"a\n", b"a\n") == []
    assert shown(None, b"") == []


def test_line_ends_that_differ_are_visible() -> None:
    assert shown(b"a\r\n", b"a\n")[-2:] == ["-a\\r", "+a"]
    assert shown(b"a\n", b"a")[-1] == "\\ + has no newline at the end of the file"


def test_what_is_not_text_or_too_long_is_shown_by_size() -> None:
    assert shown(b"\x00" * 1500, b"\xff") == [
        "/main.py: 1,500 bytes -> 1 bytes; not shown, it is not text"
    ]
    long = b"x\n" * (MAX_LINES + 1)
    assert shown(None, long) == ["/main.py: missing -> 10,002 bytes; not shown, it is too long"]


def test_a_file_that_was_not_read_is_not_called_missing() -> None:
    content = Content(data=b"key = 'x'", secrets=frozenset({"key"}))
    assert file_diff("/main.py", None, content, unread_size=1500) == (
        "/main.py: 1,500 bytes -> 9 bytes; not shown, it holds secrets",
    )


def test_secrets_are_never_shown_and_neither_is_what_stood_there_before() -> None:
    lines = shown(b"password = 'old-one'\n", b"password = 'hunter2'\n", "hunter2")
    assert lines == ["/main.py: 21 bytes -> 21 bytes; not shown, it holds secrets"]
