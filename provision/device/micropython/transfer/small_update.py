"""A few small files onto a board that was looked at before, with the proof of it, in one program.

A look at a whole board before and after takes the line longer than a small file does. Here the
board itself judges that it is the one that was seen and that `/` is its flash, takes the files as
any stream, and reads them back from the flash (agent/edit/take.py). Where anything is not as it
must be, or the firmware cannot do it, nothing is concluded: whoever called looks at the board
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.device.micropython import agent_source
from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.micropython.transfer.stream_format import compose
from provision.device.micropython.transfer.stream_transfer import (
    StreamDamaged,
    paces,
    receiver_choice,
    send_stream,
    start_receiver,
)
from provision.errors import BoardError, NoAnswer
from provision.interfaces import Progress
from provision.model.board_path import path_bytes
from provision.model.chip import Chip
from provision.model.plan import FileAction, WriteFile
from provision.model.state import Content


def update(
    raw: RawRepl,
    mac: str,
    actions: Sequence[FileAction],
    contents: Mapping[str, Content],
    progress: Progress,
    *,
    chip: Chip,
    lossless: bool,
) -> bool:
    """Carry out the actions at the raw REPL of the board with this MAC; whether each file was
    proved to be what `contents` has of it, in the flash. False where nobody knows: files are then
    their old or their new content each."""
    choices = paces(chip, lossless=lossless)
    expected = b"".join(
        b"(%s,%s)," % (agent_source.literal(path_bytes(path)), agent_source.literal(digest))
        for path, digest in (
            (action.path, bytes.fromhex(contents[action.path].sha256))
            for action in actions
            if isinstance(action, WriteFile)
        )
    )
    who = agent_source.literal(bytes.fromhex(mac.replace(":", "")))
    try:
        start_receiver(raw, choices, take=b"%s,(%s)" % (who, expected))
        stream = compose(actions, contents, choices[0])  # while the board compiles
        choice = receiver_choice(raw, choices)
        if choice:
            stream = compose(actions, contents, choices[choice])
        send_stream(raw, actions, stream, choices[choice], progress)
    except BoardException as error:
        raw.trace(1, f"not updated in one program: {raw.raised(error)}")
    except (BoardError, NoAnswer) as error:
        raw.trace(1, f"not updated in one program: {error.message}")
    except StreamDamaged as damage:
        raw.trace(1, f"not updated in one program: {damage}")
    else:
        return True
    return False
