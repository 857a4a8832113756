"""A board's NVS over its REPL: read as it lies in flash, changed through MicroPython's own module,
so that the chip's library stays its one owner. What is read is a stranger's, and never shown here:
a secret may be among it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

from provision.core.chips.registry import family_of
from provision.core.nvs_format import ITEM, NvsItem, entries_of, is_whole
from provision.device.micropython import agent_source
from provision.device.micropython.agent_runner import AgentRunner
from provision.device.micropython.raw_repl import RawRepl
from provision.device.micropython.replies import MalformedReply, decode_base64, retry
from provision.errors import BoardError, OutOfSpace
from provision.model.state import ActualState
from provision.model.unit_data import MICROPYTHON_TYPES, NvsEntry

Entries = tuple[NvsEntry, ...]
_NO_ROOM = ("0x1105", "-4357", "NOT_ENOUGH_SPACE")  # ESP_ERR_NVS_NOT_ENOUGH_SPACE
_READ_TIMEOUT = 30.0  # seconds: 24 kB of NVS, looked at twice, take one


class NvsAccess:
    """One board's NVS, while it is at its raw REPL; `known` is what it has said of itself."""

    def __init__(
        self, raw: RawRepl, agent: AgentRunner, known: Callable[[], ActualState | None]
    ) -> None:
        self._raw = raw
        self._agent = agent
        self._known = known

    def _module(self) -> str | None:
        seen = self._known()
        chip = seen.chip if seen is not None else None
        return family_of(chip).nvs_module(chip) if chip is not None else None

    def read(self, wanted: Collection[str] | None, hidden: Collection[str]) -> Entries | None:
        """See `interfaces.NvsAccess.nvs`."""
        module = self._module()
        if module is None:
            return None
        names = b"None" if wanted is None else _names(wanted)
        arguments = b",".join((agent_source.text(module), names, _names(hidden)))

        def attempt() -> Entries | None:
            return read_reply(
                self._agent.run("nvs", call="_nvs", arguments=arguments, timeout=_READ_TIMEOUT)
            )

        return retry(self._raw, attempt)

    def set(self, entry: NvsEntry, *, replaces: bool) -> None:
        """See `interfaces.NvsAccess.set_nvs`."""
        if entry.type not in MICROPYTHON_TYPES:
            raise BoardError(
                f"MicroPython cannot write {entry.name}, a {entry.type}, to NVS",
                hint="write it as i32 or blob",
            )
        number, data = b"0", b"None"
        if entry.type == "i32":
            number = str(entry.value).encode()
        else:
            data = agent_source.literal((entry.data or b"").hex().encode())
        arguments = b",".join(
            (
                agent_source.text(self._module() or ""),
                agent_source.text(entry.namespace),
                agent_source.text(entry.key),
                number,
                data,
                b"%d" % replaces,
            )
        )
        try:
            answer = retry(
                self._raw,
                lambda: self._agent.change("nvs", call="_set_nvs", arguments=arguments),
            )
        except BoardError as error:
            if any(code in error.message for code in _NO_ROOM):
                raise OutOfSpace(
                    f"NVS has no room for {entry.name}",
                    hint="`provision facts --nvs` lists what is in it; keep large values in files",
                ) from error
            raise
        if answer.rpartition("\x02")[2].strip() != "set":
            raise BoardError(
                "this firmware cannot write NVS",
                hint="MicroPython can since 1.17; choose a newer `firmware:`",
            )


def _names(names: Collection[str]) -> bytes:
    return b"(" + b"".join(agent_source.literal(n.encode()) + b"," for n in sorted(names)) + b")"


def read_reply(text: str) -> Entries | None:
    """What agent/nvs.py printed; None of a firmware that has no access to it."""
    lines = text.rpartition("\x02")[2].replace("\r", "").split("\n")
    if lines[0] == "none":
        return None
    if lines[0] or len(lines) < 3 or lines[-1]:
        raise MalformedReply("an answer about NVS that is cut or spoilt")
    records = [decode_base64(line.encode()) for line in lines[1:-2]]
    digest = hashlib.sha256(b"".join(records)).digest()[:9]
    if digest != decode_base64(lines[-2].encode()):
        raise MalformedReply("entries of NVS that do not match their digest")
    return entries_of(_item(record) for record in records)


def _item(record: bytes) -> NvsItem:
    page, head = int.from_bytes(record[:4], "little"), record[4 : 4 + ITEM]
    if len(head) == 24:  # a value that was not asked for
        return NvsItem(page=page, head=head + bytes(8), data=None)
    if not is_whole(head):
        raise MalformedReply("an item of NVS that is damaged")
    return NvsItem(page=page, head=head, data=record[4 + ITEM :])
