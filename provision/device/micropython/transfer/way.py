"""The way that changes of files go to a board: the quickest that its firmware and its line take.

One small file goes within the program that writes it, anything else as one stream; what takes
neither, or damages them, gets mpremote's commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from provision.device.micropython.agent_runner import AgentRunner
from provision.device.micropython.raw_repl import RawRepl
from provision.device.micropython.transfer import small_file, stream_transfer
from provision.device.micropython.transfer.line_rate import LineRate
from provision.device.transport.buffered_serial import Tracer
from provision.interfaces import Progress
from provision.model.chip import Chip
from provision.model.language import record
from provision.model.plan import FileAction
from provision.model.state import Content


@record(kw_only=False, slots=False)
class Way:
    """To one board at its raw REPL; `lossless` tells whether the link holds bytes back."""

    raw: RawRepl
    agent: AgentRunner
    line: LineRate
    chip: Chip | None
    lossless: Callable[[], bool]
    trace: Tracer

    def transfer(
        self, work: Sequence[FileAction], contents: Mapping[str, Content], progress: Progress
    ) -> None:
        """Carry out the actions in order; see `interfaces.Repl.transfer`."""
        if self.agent.deflates and small_file.transfer(self.raw, work, contents, progress):
            return
        if not self._stream(work, contents, progress):
            # mpremote, which takes a tenth of a second to import and is seldom needed.
            from provision.device.micropython.transfer import fallback_transfer

            fallback_transfer.transfer(self.raw, work, contents, progress)

    def _stream(
        self, work: Sequence[FileAction], contents: Mapping[str, Content], progress: Progress
    ) -> bool:
        """Whether all was done as one stream; this firmware may take none, or two be damaged."""
        damaged = 0
        while self.agent.deflates and damaged < 2:
            choices = stream_transfer.paces(self.chip, lossless=self.lossless())
            exchange = self.line.exchange(self.raw, self.chip)
            try:
                stream_transfer.transfer(
                    self.raw, work, contents, choices, progress, exchange=exchange
                )
            except stream_transfer.StreamUnsupported as error:
                self.agent.deflates = error.has_deflate
                if not error.has_deflate or exchange is None or not exchange.damaged():
                    break
            except stream_transfer.StreamDamaged as damage:
                damaged += exchange is None or not exchange.damaged()
                consequence = "using the fallback transfer" if damaged > 1 else "trying once more"
                self.trace(1, f"the stream was damaged ({damage}); {consequence}")
            else:
                self.line.arrived()
                return True
        return False
