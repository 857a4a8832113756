"""What a program is given of a run: no text in it, nor behind it, holds a secret."""

from __future__ import annotations

import traceback

from provision.core.chips.esp.chips import ESP32
from provision.core.manifest.redact import Redactor
from provision.device.micropython.raw_repl import BoardException
from provision.errors import BoardError
from provision.model.plan import DeleteFile, Plan
from provision.model.report import DeviceReport, RunReport
from provision.model.state import ActualState, FileState, Filesystem, FirmwareIdentity
from provision.output.scrub import scrub_report
from tests.secret_forms import FORMS, shown_of

SECRET = "a\"b'ü&<c\\d-fghijk"


def test_a_report_and_its_errors() -> None:
    said = " ".join(write(SECRET) for write in FORMS.values())
    error = BoardError(f"the board raised {said}", hint=said)
    error.__cause__ = BoardException(f"Traceback\nValueError: {said}")
    error.__cause__.__context__ = OSError(2, said, said)
    digest = "5e" * 32
    actual = ActualState(
        chip=ESP32,
        firmware=FirmwareIdentity(version=said, machine=said, chip=ESP32),
        filesystem=Filesystem(files={f"/{SECRET}": FileState(size=1, sha256=digest)}),
    )
    plan = Plan(device="x", actions=(DeleteFile(path=said, reason=said),))
    device = DeviceReport(
        device="x", outcome="failed", seconds=1.0, plan=plan, actual=actual, error=error
    )
    redactor = Redactor([SECRET]).with_digests([digest])
    shown = scrub_report(RunReport(devices=(device,), seconds=1.0), redactor)
    told = repr(shown) + "".join(traceback.format_exception(error)) + error.hint
    assert shown_of(SECRET, told, 8) == set()
    assert digest[:12] not in told
    assert told.count("***") > 5 * len(FORMS)
