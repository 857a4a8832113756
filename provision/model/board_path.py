"""Paths on a board: absolute, with forward slashes, without `.`, `..` or a trailing slash."""

from __future__ import annotations

from functools import lru_cache

STARTUP_FILES = ("/boot.py", "/main.py")
"""What MicroPython runs by itself, in the order in which it does."""

TEMPORARY_NAME = ".provision~"
"""The name beside a file under which its new content arrives."""

LIBRARY = "/lib"
"""The directory that MicroPython imports packages from."""

TEMPORARY_NAME = ".provision~"
"""The name beside a file under which its new content arrives."""

LONGEST_NAME = 255
"""Bytes: LittleFS' LFS_NAME_MAX, FatFs' FF_MAX_LFN."""

LONGEST_PATH = 255
"""Bytes, so that its length is one byte of a frame on its way to the board."""


def path_bytes(path: str) -> bytes:
    """A path as a board has it. LittleFS takes any bytes for a name; what is not UTF-8 comes as
    surrogates, as Python has it of file names (PEP 383)."""
    return path.encode("utf-8", "surrogateescape")


def path_of_bytes(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def disabled_name(path: str) -> str:
    """The name under which a file of the root directory is kept from starting: whole, but nothing
    that MicroPython would run."""
    return f"/{TEMPORARY_NAME}{path[1:]}"


@lru_cache(maxsize=1 << 16)
def folded(path: str) -> str:
    """What a path is called on a filesystem that does not tell upper from lower case, as FAT."""
    if path.isascii():
        return path.upper()
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in path)


@lru_cache(maxsize=1 << 14)
def ancestors(path: str) -> tuple[str, ...]:
    """The directories a path lies in, the outermost first, "/" left out.

    Kept: the devices of a fleet ask for the same paths over and over (468 times each, with 25
    files).
    """
    found = []
    end = path.find("/", 1)
    while end > 0:
        found.append(path[:end])
        end = path.find("/", end + 1)
    return tuple(found)


def below(path: str, root: str) -> bool:
    """Whether a path lies inside a directory, at any depth."""
    return path != "/" if root == "/" else path.startswith(f"{root}/")


def at_or_below(path: str, root: str) -> bool:
    return path == root or below(path, root)


def depth(path: str) -> int:
    """How many parts a path has: 0 for "/"."""
    return 0 if path == "/" else path.count("/")
