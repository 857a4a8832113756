"""`provision image`: build images for other flashing tools."""

from __future__ import annotations

import json
from pathlib import Path

import click

from provision import api
from provision.cli.device_names import devices
from provision.cli.files import write_output
from provision.cli.options import (
    json_option,
    manifest_argument,
    offline_option,
    secrets_option,
)
from provision.core.wording import harmless, memory_size


@click.group("image")
def command() -> None:
    """Build images for other flashing tools."""


@command.command("build")
@click.argument("device", shell_complete=devices)
@manifest_argument
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where to write the image.",
)
@secrets_option
@offline_option
@json_option
def build(
    *,
    device: str,
    manifest: str | None,
    output: Path,
    secrets: Path | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Write DEVICE's firmware and filesystem as one .bin or .uf2, and say what is in it.

    The image holds all that `apply` would put on a blank board: the firmware with the header that
    the board profile asks for, and a filesystem with every file, templates rendered and secrets
    filled in. Keep it as you keep your secrets.
    """
    image = api.build_image(device, manifest, secrets=secrets, offline=offline)
    write_output(output, image.data, private=image.sensitive)
    firmware, place = image.firmware, image.place
    offset = f"0x{firmware.base:x}"
    report = {
        "file": str(output),
        "device": device,
        "chip": firmware.chip.name,
        "size": len(image.data),
        "offset": firmware.base,
        "firmware": {"file": firmware.name, "version": firmware.identity.version},
        "filesystem": {
            "offset": place.offset,
            "size": place.size,
            "used": image.used,
            "files": sorted(image.files),
        },
        "secrets": image.sensitive,
        "command": image.flash_command(str(output)),
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    lines = [
        f"{output}: {len(image.data)} bytes for {device} ({image.board.title}), "
        f"to be flashed at {offset}",
        f"  firmware    MicroPython {firmware.identity.version} from {firmware.name}",
        f"  filesystem  at 0x{place.offset:x}, {memory_size(image.used)} of "
        f"{memory_size(place.size)} used",
        *(f"              {dest}  {size} bytes" for dest, size in sorted(image.files.items())),
        f"  to flash    {report['command']}",
        "Flashing it replaces everything on the board, its NVS (Wi-Fi, calibration) included where "
        "it has one.",
    ]
    if image.sensitive:
        lines.append("It holds secrets in plain text: only you may read the file.")
    for line in lines:
        click.echo(harmless(line))
    return 0
