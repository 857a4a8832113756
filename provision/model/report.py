"""What a run came to: one report a device, one for the whole."""

from __future__ import annotations

from provision.errors import ProvisionError
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.plan import Plan
from provision.model.state import ActualState, StepResult
from provision.model.unit_data import CertificateFacts

_FAILED: frozenset[Outcome] = frozenset({"failed", "rolled-back", "refused"})


@record
class DeviceReport:
    """How one device fared. `actual` is the last state observed; `plan` what had to be done;
    `measured` what the steps of its check gave, in order."""

    device: str
    outcome: Outcome
    seconds: float
    address: str | None = None
    plan: Plan | None = None
    actual: ActualState | None = None
    measured: tuple[StepResult, ...] = ()
    certificate: CertificateFacts | None = None
    error: ProvisionError | None = None


@record
class RunReport:
    """All devices in manifest order; `interrupted` when the user stopped the run, `stopped` is why
    devices that failed kept others from beginning."""

    devices: tuple[DeviceReport, ...]
    seconds: float
    interrupted: bool = False
    stopped: str | None = None

    @property
    def pending(self) -> bool:
        """Whether some device has changes that were planned but not made."""
        return any(report.outcome == "pending" for report in self.devices)

    def exit_code(self, *, detailed: bool = False) -> int:
        """DESIGN's exit codes; `detailed` turns pending changes into 6."""
        outcomes = {report.outcome for report in self.devices}
        if self.interrupted:
            return 130
        internal = any(
            report.error is not None and report.error.exit_code == 1 for report in self.devices
        )
        if internal:
            return 1
        if outcomes & _FAILED or self.stopped is not None:
            return 4
        if "unreachable" in outcomes:
            return 5
        return 6 if detailed and self.pending else 0
