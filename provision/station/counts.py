"""What a shift came to: boards that were made, and those that were only looked at. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provision.station.machine import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Since the start: how many boards passed and failed, and the seconds that those that passed
    took. Boards that were only `looked` at (done before, or a station that is dry), of which some
    were `amiss`, are in neither: they say nothing of the yield."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    looked: int = 0
    amiss: int = 0

    def after(self, verdict: Verdict) -> Counts:
        if verdict.cut or verdict.again:
            return self
        if verdict.look:
            amiss = self.amiss + (not verdict.passed)
            return replace(self, looked=self.looked + 1, amiss=amiss)
        if not verdict.passed:
            return replace(self, failed=self.failed + 1)
        return replace(self, passed=self.passed + 1, seconds=self.seconds + verdict.seconds)

    @property
    def total(self) -> int:
        """Visits that came to a verdict."""
        return self.passed + self.failed + self.looked

    @property
    def yield_percent(self) -> int | None:
        """Of the boards that were made, rounded down; None before the first."""
        made = self.passed + self.failed
        return 100 * self.passed // made if made else None

    @property
    def seconds_a_unit(self) -> float | None:
        """Of those that passed, on average; None before the first."""
        return self.seconds / self.passed if self.passed else None

    @property
    def summary(self) -> str:
        """`41 passed, 2 failed, yield 95 %, 12.3 s a unit, 3 only looked at`."""
        said = [f"{self.passed} passed", f"{self.failed} failed"]
        if self.yield_percent is not None:
            said.append(f"yield {self.yield_percent} %")
        if self.seconds_a_unit is not None:
            said.append(f"{self.seconds_a_unit:.1f} s a unit")
        if self.looked:
            amiss = f" ({self.amiss} amiss)" if self.amiss else ""
            said.append(f"{self.looked} only looked at{amiss}")
        return ", ".join(said)
