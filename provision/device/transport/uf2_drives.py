"""The USB drives that boards are, for as long as they take firmware as a file or keep their code on
one: found among this computer's drives by what lies on them.

Boards in BOOTSEL mode, other boot loaders that take UF2 files, CircuitPython and micro:bits look
the same to a computer. Which is which their text files tell: INFO_UF2.TXT, boot_out.txt,
DETAILS.TXT.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from provision.core.wording import printable
from provision.interfaces import Volume, VolumeKind

INFO = "INFO_UF2.TXT"
_CIRCUITPYTHON = "boot_out.txt"
_MICROBIT = "DETAILS.TXT"
_MOST = 4096  # bytes of such a file that are looked at
_KINDS = {"vfat", "msdos", "fat", "fat16", "fat32", "exfat", "fuseblk"}
RASPBERRY_PI = "2e8a"
_BOOTSEL_PRODUCTS = {"0003": "RPI-RP2", "000f": "RP2350"}

Mounts = Callable[[], Iterable[tuple[str, str, str]]]
"""Device, mount point and type of every filesystem that is mounted."""


class SystemVolumes:
    """The drives of this computer; implements `interfaces.Volumes`.

    `mounts` gives what is mounted, `sysfs` is where Linux tells of block devices.
    """

    def __init__(
        self, mounts: Mounts | None = None, sysfs: Path = Path("/sys/class/block")
    ) -> None:
        self._mounts = mounts
        self._sysfs = sysfs

    @property
    def tells_sockets(self) -> bool:
        """As `Volumes.tells_sockets`: Linux does."""
        return self._sysfs.is_dir()

    def volumes(self) -> Sequence[Volume]:
        """Every drive of a board that is plugged in, those that are not mounted included where
        the system tells of them."""
        on_usb = self._usb_disks() if self.tells_sockets else None
        if on_usb is not None and not on_usb:
            return ()  # no library is loaded for a computer without such a drive
        mounted = list((self._mounts or _mounted)())
        found = [
            volume
            for device, point, kind in mounted
            if kind.lower() in _KINDS
            and (volume := self._mounted(device, point, on_usb)) is not None
        ]
        if on_usb is not None:
            devices = {os.path.realpath(device) for device, _, _ in mounted}
            found += self._unmounted(on_usb, devices)
        return tuple(found)

    def _mounted(self, device: str, point: str, on_usb: Mapping[str, Path] | None) -> Volume | None:
        usb = (on_usb or {}).get(Path(os.path.realpath(device)).name)
        if on_usb is not None and usb is None:
            return None  # on no USB, or gone: what is mounted outlives its drive
        told = read_drive(Path(point))
        if told is None:
            return None
        kind, info = told
        return Volume(
            path=Path(point),
            device=device,
            kind=kind,
            info=info,
            usb_serial=_attribute(usb, "serial"),
            usb_location=usb.name if usb is not None else None,
            usb_id=_usb_id(usb),
        )

    def _unmounted(self, on_usb: Mapping[str, Path], mounted: set[str]) -> Iterator[Volume]:
        """Boards in BOOTSEL mode whose drive nobody has mounted: their USB ids are the ROM's."""
        for name, usb in sorted(on_usb.items()):
            product = _BOOTSEL_PRODUCTS.get(_attribute(usb, "idProduct") or "")
            partitions = [other for other in on_usb if other != name and other.startswith(name)]
            if _attribute(usb, "idVendor") != RASPBERRY_PI or product is None or partitions:
                continue  # a disk whose partition is listed as well
            whole = name.rstrip("0123456789")
            if {f"/dev/{name}", f"/dev/{whole}"} & mounted:
                continue
            yield Volume(
                path=None,
                device=f"/dev/{name}",
                kind="uf2",
                info={"Board-ID": product},
                usb_serial=_attribute(usb, "serial"),
                usb_location=usb.name,
                usb_id=_usb_id(usb),
            )

    def _usb_disks(self) -> dict[str, Path]:
        """The block devices that are on USB, each with the folder of its USB device."""
        found = {}
        try:
            entries = sorted(self._sysfs.iterdir())
        except OSError:
            return {}
        for entry in entries:
            if not entry.name.startswith("sd"):
                continue
            usb = next(
                (each for each in entry.resolve().parents if (each / "idVendor").is_file()), None
            )
            if usb is not None:
                found[entry.name] = usb
        return found


def is_bootsel(volume: Volume | None) -> bool:
    """Whether a drive is that of a board in its chip's own boot loader."""
    return (
        volume is not None
        and volume.kind == "uf2"
        and volume.info.get("Board-ID") in _BOOTSEL_PRODUCTS.values()
    )


def description(volume: Volume) -> str:
    """What a drive is, for people, and what this tool does not do with it."""
    name = volume.info.get("Board-ID") or volume.info.get("Model") or "unknown board"
    where = "" if volume.path is not None else ", not mounted"
    if is_bootsel(volume):
        return f"board in BOOTSEL mode ({name}{where})"
    if volume.kind == "uf2":
        return f"UF2 boot loader of {name}: its firmware is not written by this tool"
    if volume.kind == "circuitpython":
        return f"{volume.info['Version']}: CircuitPython, not MicroPython"
    return "micro:bit or its like (DAPLink): not provisioned by this tool"


def read_drive(folder: Path) -> tuple[VolumeKind, Mapping[str, str]] | None:
    """Which kind of board's drive a folder is, and what its text file says, by its keys; None for
    any other."""
    text = _text(folder / INFO)
    if text is not None:
        return "uf2", _fields(text)
    text = _text(folder / _CIRCUITPYTHON)
    if text is not None and "CircuitPython" in text:
        return "circuitpython", {"Version": printable(text.splitlines()[0]), **_fields(text)}
    text = _text(folder / _MICROBIT)
    if text is not None and ("Interface" in text or "DAPLink" in text):
        return "daplink", _fields(text)
    return None


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return None


def _fields(text: str) -> dict[str, str]:
    """The lines `Key: value`; what may come from any drive is made harmless."""
    rows = (line.partition(":") for line in text.splitlines())
    return {printable(key.strip()): printable(value.strip()) for key, mark, value in rows if mark}


def _attribute(usb: Path | None, name: str) -> str | None:
    text = _text(usb / name) if usb is not None else None
    return text.strip() or None if text is not None else None


def _usb_id(usb: Path | None) -> str | None:
    vendor, product = _attribute(usb, "idVendor"), _attribute(usb, "idProduct")
    return f"{vendor}:{product}" if vendor and product else None


def _mounted() -> Iterable[tuple[str, str, str]]:
    import psutil  # imported here: few runs look at drives

    return [
        (part.device, part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=False)
    ]
