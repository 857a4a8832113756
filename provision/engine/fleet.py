"""Fleet: every device of a run at once, each on a thread of its own.

A board is wire-bound, so a fleet takes as long as its slowest board; one device's failure
neither stops, slows nor hides another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provision.core.chips.esp.firmware import Firmware
from provision.engine.context import Options, World
from provision.engine.job import Claims, Job
from provision.engine.locate import locate
from provision.engine.scheduler import Stop, run_all
from provision.interfaces import (
    Identities,
    Images,
)
from provision.model.event import (
    Notice,
    RunFinished,
    RunStarted,
)
from provision.model.report import RunReport
from provision.model.state import (
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
    PortSelector,
)


def run(
    states: Sequence[DesiredState],
    world: World,
    options: Options,
    *,
    command: str,
    fleet: str,
    owned: Sequence[PortSelector] = (),
) -> RunReport:
    """Observe, plan and, with `change`, execute on every device; returns in manifest order.

    Errors of one device are in its report; errors of the inputs (an image that cannot be read)
    are raised before any board is touched. The first KeyboardInterrupt lets what may not be
    cut finish; the second is passed on. `owned` are the ports of the manifest's other devices.
    """
    started = world.clock()
    world.emit(
        RunStarted(command=command, fleet=fleet, devices=tuple(state.device for state in states))
    )
    images = read_images(states, world.images)
    located = locate(
        states,
        world.discovery,
        world.connector,
        owned=[*owned, *(state.port for state in states if state.port)],
    )
    stop = Stop()
    claims = Claims()
    jobs = [
        Job(
            desired=with_identity(state, images, world.identities, options),
            located=located[state.device],
            firmware=images.get(state.firmware.source) if state.firmware else None,
            world=world,
            options=options,
            stop=stop,
            claims=claims,
        )
        for state in states
    ]
    run_all(jobs, options.forks or len(jobs), stop, lambda text: world.emit(Notice(message=text)))
    report = RunReport(
        devices=tuple(job.report for job in jobs if job.report is not None),
        seconds=world.clock() - started,
        interrupted=stop.by_user(),
    )
    world.emit(
        RunFinished(
            seconds=report.seconds,
            exit_code=report.exit_code(detailed=options.detailed),
            outcomes={item.device: item.outcome for item in report.devices},
        )
    )
    return report


def read_images(states: Sequence[DesiredState], images: Images) -> dict[FirmwareSource, Firmware]:
    """Each distinct image, read once, before any board is touched."""
    sources = dict.fromkeys(state.firmware.source for state in states if state.firmware)
    return {source: images.firmware(source) for source in sources}


def with_identity(
    state: DesiredState,
    images: dict[FirmwareSource, Firmware],
    identities: Identities,
    options: Options,
) -> DesiredState:
    """The state with what its image and the lock know filled in."""
    firmware: DesiredFirmware | None = state.firmware
    if firmware is not None:
        firmware = replace(firmware, identity=images[firmware.source].identity)
    mac = state.mac
    if mac is None and state.device not in options.accept_new:
        mac = identities.known(state.device)
    return replace(state, firmware=firmware, mac=mac)
