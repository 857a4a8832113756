"""What a chip is called, and which family it is of."""

from __future__ import annotations

from provision.model.language import record


@record
class Chip:
    """One chip. `name` is what flashing tools and manifests call it, `label` how its maker
    writes it, `family` the name of the chip family in `core.chips`."""

    name: str
    label: str
    family: str

    def __str__(self) -> str:
        return self.name
