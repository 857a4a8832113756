"""Which manifests the schema has found nothing in: their digests, in one file of the user's own.

A manifest that has not changed is not judged again, and what judges it is not imported: of an apply
that changes nothing, that takes longer than the board does. Whatever cannot be read or kept only
means that a manifest is judged once more.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from provision._version import __version__
from provision.atomic_files import private_directory, write_atomic
from provision.core.manifest.schema_check import SchemaReport, check_schema
from provision.core.manifest.yaml_tree import Document, Table
from provision.project.schemas import fleet_schema, schema_text

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_MOST = 200  # digests that are kept


class SchemaPasses:
    """`file` is where the digests are; None remembers nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def judge(self, tree: Table, document: Document, data: bytes) -> SchemaReport:
        """What the schema has to say of a manifest, `data` as it is on the disk."""
        digest = self.digest(data, schema_text("fleet"))
        if self.has(digest):
            return SchemaReport()
        report = check_schema(tree, document, fleet_schema())
        if not report.problems:
            self.add(digest)
        return report

    def digest(self, manifest: bytes, schema: str) -> bytes:
        """What a pass is remembered by: the manifest to the byte, the schema, and who judged."""
        judged = hashlib.sha256(f"{__version__}\0{schema}\0".encode())
        judged.update(manifest)
        return judged.hexdigest().encode()

    def has(self, digest: bytes) -> bool:
        return digest in self._read()

    def add(self, digest: bytes) -> None:
        """Of two runs at once, one may lose what it adds."""
        if self._file is None:
            return
        with suppress(OSError):
            private_directory(self._file.parent)
            kept = [one for one in self._read() if one != digest][-_MOST + 1 :]
            write_atomic(self._file, b"".join(one + b"\n" for one in [*kept, digest]), mode=0o600)

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        try:
            with self._file.open("rb") as file:
                return _DIGEST.findall(file.read(_MOST * 65))
        except OSError:
            return []
