"""The programs of the manifest's own that are run for each unit, when whoever starts the station
allows them: a certificate made before, a label printed after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from provision.core.wording import Redact, excerpt
from provision.errors import DeviceError
from provision.model.station import Hook


def run_hook(which: str, hook: Hook, unit: Mapping[str, Any], folder: Path, redact: Redact) -> None:
    """Run a hook in the manifest's folder, the unit as JSON on its standard input; DeviceError with
    the end of what it said when it does not end well.

    It is in a session of its own: Ctrl-C ends the station, and no label is cut in the middle.
    """
    program = hook.command[0]
    try:
        running = subprocess.Popen(
            hook.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
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
    with running:
        try:
            said, _ = running.communicate(json.dumps(unit).encode(), hook.timeout)
        except subprocess.TimeoutExpired as error:
            _end(running)
            raise DeviceError(
                f"the hook `{which}` ({program}) was not done after {hook.timeout:g} s",
                hint=f"see what it waits for, or give `station.{which}.timeout` more seconds",
            ) from error
    if running.returncode:
        text = excerpt(said.decode("utf-8", "replace"), redact, 300, end=True)
        raise DeviceError(
            f"the hook `{which}` ({program}) ended with {running.returncode}"
            + (f": {text}" if text else ""),
            hint="mend what it says; then plug the board in again",
        )


def _end(running: subprocess.Popen[bytes]) -> None:
    """It, and what it has started."""
    if sys.platform == "win32":
        running.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # what has left its group may hold its output
        running.communicate(timeout=1.0)
