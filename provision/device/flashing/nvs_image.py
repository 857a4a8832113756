"""NVS for a board that has none yet: a partition with its first entries, made by Espressif's own
`esp-idf-nvs-partition-gen`, in memory. It is imported only when one is made."""

from __future__ import annotations

import io
from collections.abc import Sequence

from provision.core.nvs_format import PAGE
from provision.errors import OutOfSpace
from provision.model.unit_data import NvsEntry


def nvs_partition(entries: Sequence[NvsEntry], size: int) -> bytes:
    """A partition of `size` bytes that holds these entries and nothing else; OutOfSpace where they
    do not fit in it. One page stays free, which a chip needs to change anything."""
    from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

    out = io.BytesIO()
    try:
        with generator.nvs_open(out, size - PAGE, generator.Page.VERSION2) as nvs:
            for entry in sorted(entries, key=lambda entry: entry.place):
                nvs.write_namespace(entry.namespace)
                nvs.write_entry(entry.key, *_coded(entry))
    except generator.InsufficientSizeError:
        raise OutOfSpace(
            f"the `nvs` entries do not fit in the {size // 1024} kB that the firmware has for NVS",
            hint="keep large values in files",
        ) from None
    return out.getvalue()


def _coded(entry: NvsEntry) -> tuple[str, str]:
    """A value as the generator takes it, and what it calls that."""
    data = entry.data or b""
    if entry.type == "str":
        return data.decode(), "string"
    return (data.hex(), "hex2bin") if entry.type == "blob" else (str(entry.value), entry.type)
