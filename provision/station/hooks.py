"""The programs of the manifest's own that are run for each unit, when whoever starts the station
allows them: a certificate made before, a label printed after."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from provision.core.wording import Redact, excerpt
from provision.errors import DeviceError
from provision.model.station import Hook
from provision.project.user.programs import kill_group

_MOST_SAID = 1 << 16  # bytes of its output that are read, from the end


def run_hook(
    which: str, hook: Hook, unit: Mapping[str, Any], folder: Path, redact: Redact
) -> str | None:
    """Run a hook in the manifest's folder, the unit as JSON on its standard input; DeviceError with
    the end of what it said when it does not end well. What is to be told though it went well, None
    for nothing.

    It is in a session of its own: Ctrl-C ends the station, and no label is cut in the middle. Its
    input and output are files, so that it is over when it has ended: a pipe would be held open by
    whatever it has started. That is ended with it, unless it has gone into a session of its own.
    """
    program = hook.command[0]
    with TemporaryFile() as told, TemporaryFile() as said:
        told.write(json.dumps(unit).encode())
        told.seek(0)
        try:
            running = subprocess.Popen(
                hook.command,
                stdin=told,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DeviceError(
                f"the hook `{which}` cannot be run: {program}: {reason}",
                hint=f"correct `station.{which}.command` in the manifest, and start again",
            ) from error
        try:
            code = running.wait(hook.timeout)
        except subprocess.TimeoutExpired as error:
            kill_group(running)
            running.wait()
            raise DeviceError(
                f"the hook `{which}` ({program}) was not done after {hook.timeout:g} s, and was "
                "ended",
                hint=f"see what it waits for, or give `station.{which}.timeout` more seconds",
            ) from error
        left = kill_group(running)
        if code:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_SAID))
            text = excerpt(said.read().decode("utf-8", "replace"), redact, 300, end=True)
            raise DeviceError(
                f"the hook `{which}` ({program}) ended with {code}" + (f": {text}" if text else ""),
                hint="mend what it says; then plug the board in again",
            )
    return f"what the hook `{which}` left running was ended" if left else None
