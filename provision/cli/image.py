"""`provision image`: a device's firmware and files as one file, for people who flash elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from provision.app import supply
from provision.cli.files import write_output
from provision.cli.options import json_option, offline_option, secrets_option
from provision.core.chips.registry import family_of
from provision.core.wording import did_you_mean, flash_size, harmless
from provision.device.flashing.littlefs import build_filesystem
from provision.errors import UsageError
from provision.model.firmware import joined
from provision.model.state import DesiredState
from provision.project.manifest_file import load


@click.group("image")
def command() -> None:
    """Make images for other flashing tools."""


@command.command("build")
@click.argument("device")
@click.argument("manifest", required=False, metavar="[MANIFEST]")
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
    """Write DEVICE's firmware and filesystem as one .bin, and say what is in it.

    The image holds all that `apply` would put on a blank board: the firmware with the header that
    the board profile asks for, and a filesystem with every file, templates rendered and secrets
    filled in. Keep it as you keep your secrets.
    """
    supplies = supply(load(manifest, secrets=secrets), offline=offline)
    loaded = supplies.loaded
    (state,) = (
        loaded.states([device]) if device in loaded.names() else _unknown(device, loaded.names())
    )
    if state.firmware is None:
        raise UsageError(
            f"{device} has no firmware to put into an image",
            hint="give the device, its group or the defaults a `firmware:`",
        )
    firmware = supplies.images.firmware(state.firmware.source)
    family = family_of(firmware.chip)
    place = family.filesystem_place(firmware, state.board, None)
    if place is None:
        raise UsageError(
            f"the filesystem of {firmware.name} is none that can be built on this computer",
            hint="flash the firmware, then copy the files with `provision apply`",
        )
    wanted = {file.dest: file.content.data for file in state.files}
    filesystem = build_filesystem(place, wanted)
    image = joined(
        (*family.regions(firmware, state.board, None), *filesystem.regions()), firmware.base
    )
    write_output(output, image, private=_holds_secrets(state))
    offset = f"0x{firmware.base:x}"
    report = {
        "file": str(output),
        "device": device,
        "chip": firmware.chip.name,
        "size": len(image),
        "offset": firmware.base,
        "firmware": {"file": firmware.name, "version": firmware.identity.version},
        "filesystem": {
            "offset": place.offset,
            "size": place.size,
            "used": len(filesystem.used) * place.block,
            "files": sorted(wanted),
        },
        "secrets": _holds_secrets(state),
        "command": family.flash_command(firmware, str(output)),
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    lines = [
        f"{output}: {len(image)} bytes for {device} ({state.board.title}), "
        f"to be flashed at {offset}",
        f"  firmware    MicroPython {firmware.identity.version} from {firmware.name}",
        f"  filesystem  at 0x{place.offset:x}, {flash_size(len(filesystem.used) * place.block)} of "
        f"{flash_size(place.size)} used",
        *(
            f"              {dest}  {len(content)} bytes"
            for dest, content in sorted(wanted.items())
        ),
        f"  to flash    {report['command']}",
        "Flashing it replaces everything on the board, NVS (Wi-Fi, calibration) included.",
    ]
    if _holds_secrets(state):
        lines.append("It holds secrets in plain text: only you may read the file.")
    for line in lines:
        click.echo(harmless(line))
    return 0


def _holds_secrets(state: DesiredState) -> bool:
    return any(file.content.sensitive for file in state.files)


def _unknown(device: str, known: Sequence[str]) -> tuple[DesiredState]:
    raise UsageError(
        f"there is no device {device!r} in this manifest{did_you_mean(device, known)}",
        hint="`provision show` lists them",
    )
