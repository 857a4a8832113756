"""The certificate of a unit: whether the one on the board will do, and what takes its place if not.

Either way key and certificate are files of the desired state from here on, which diff and transfer
treat as any others. The key that is on the board stays there: here it is known by its digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from provision.engine.context import DeviceContext
from provision.model.event import Notice
from provision.model.state import (
    ActualState,
    Content,
    DesiredFile,
    DesiredState,
    UnreadContent,
)
from provision.model.unit_data import DesiredCertificate

LONGEST = 16 * 1024  # bytes of a certificate
Read = Callable[[str, int], bytes]


def with_certificate(
    device: DeviceContext, actual: ActualState, read: Read, *, erased: bool = False
) -> DesiredState:
    """The desired state with the files of its certificate, as it is without one. `read` reads a
    file of the board; `erased`: what is on it goes."""
    desired = device.desired
    wanted = desired.certificate
    if wanted is None:
        return desired
    kept = None if erased else _kept(device, wanted, actual, read)
    if isinstance(kept, tuple):
        files = kept
    else:
        files = _issued(device, wanted)
        if kept is not None:
            message = f"the certificate for {wanted.cn} is made anew: {kept}"
            device.run.emit(Notice(device=desired.device, message=message))
    device.certificate = device.run.certificates.facts(files[0].content.data)
    others = [file for file in desired.files if file.dest not in wanted.paths]
    return replace(desired, files=tuple(sorted([*others, *files], key=lambda file: file.dest)))


def _kept(
    device: DeviceContext, wanted: DesiredCertificate, actual: ActualState, read: Read
) -> tuple[DesiredFile, DesiredFile] | str | None:
    """The files as they are on the board; or why they have to be made anew, None where there are
    none."""
    seen = actual.filesystem
    if seen is None or actual.firmware is None:
        return None
    certificate, key = seen.files.get(wanted.dest_cert), seen.files.get(wanted.dest_key)
    if certificate is None:
        return None
    if key is None or not key.size or key.sha256 is None:
        return "its key is not there"
    data = read(wanted.dest_cert, LONGEST)
    fault = device.run.certificates.fault(wanted, data, key.sha256)
    if fault is not None:
        return fault
    return (
        _file(wanted, wanted.dest_cert, Content(data=data)),
        _file(
            wanted,
            wanted.dest_key,
            UnreadContent(
                data=b"",
                secrets=frozenset({key.sha256}),
                length=key.size,
                digest=key.sha256,
            ),
        ),
    )


def _issued(device: DeviceContext, wanted: DesiredCertificate) -> tuple[DesiredFile, DesiredFile]:
    made = device.run.certificates.issue(wanted)
    key = Content(data=made.key, secrets=frozenset({made.key.hex()}))
    return (
        _file(wanted, wanted.dest_cert, Content(data=made.certificate)),
        _file(wanted, wanted.dest_key, key),
    )


def _file(wanted: DesiredCertificate, dest: str, content: Content) -> DesiredFile:
    return DesiredFile(dest=dest, source=f"the certificate of {wanted.ca}", content=content)
