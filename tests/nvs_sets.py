"""Sets of NVS entries, for tests: as Hypothesis draws them, and by a seed."""

from __future__ import annotations

import random

from provision.model.unit_data import NVS_TYPES, NvsEntry, NvsType, number_range

WIFI = "nvs.net80211"


def entry(namespace: str, key: str, kind: NvsType, value: int | str | bytes) -> NvsEntry:
    """One entry by its value."""
    if isinstance(value, int):
        data = value.to_bytes(int(kind[1:]) // 8, "little", signed=kind.startswith("i"))
    else:
        data = value.encode() if isinstance(value, str) else value
    return NvsEntry(namespace=namespace, key=key, type=kind, data=data)


def random_set(seed: int, *, most: int = 40) -> list[NvsEntry]:
    """Up to `most` entries of every type in a few namespaces, sorted by place; blobs of up to
    three pages among them."""
    rng = random.Random(seed)
    found: dict[tuple[str, str], NvsEntry] = {}
    room = 400  # items; a partition of 24 kB has 630, one page of them in reserve
    for _ in range(rng.randint(1, most)):
        kind = rng.choice(NVS_TYPES)
        bounds = number_range(kind)
        if bounds is not None:
            value: int | str | bytes = rng.choice([*bounds, 0, rng.randint(*bounds)])
        else:
            size = rng.choice([0, 1, 31, 32, 33, rng.randint(0, 300), rng.randint(0, 9000)])
            if kind == "str":
                value = "".join(rng.choice("aö€7 ") for _ in range(min(size, 1200)))
            else:
                value = rng.randbytes(size)
        name = f"n{rng.randint(0, 4)}", f"k{rng.randint(0, 99):015d}"[:15]
        made = entry(*name, kind, value)
        room -= 4 + len(made.data or b"") // 32
        if room < 0:
            break
        found[made.place] = made
    return [found[place] for place in sorted(found)]
