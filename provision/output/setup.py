"""Chooses the outputs of one run from what the command line and the terminal say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from provision.errors import UsageError
from provision.model.event import Notice
from provision.output.fanout import Fanout, Output
from provision.output.jsonlines import JsonLines
from provision.output.junit import JUnit
from provision.output.plain import QUIET, Plain
from provision.output.results import PlanText, Recap, Writer
from provision.output.run_log import LogFile, RunRecord, state_directory
from provision.output.scrub import Redact
from provision.output.style import Style, is_terminal, wants_colour


def open_outputs(
    *,
    stdout: TextIO,
    stderr: TextIO,
    changes: bool,
    results: bool = True,
    json_lines: bool = False,
    verbosity: int = 0,
    log_file: Path | None = None,
    junit: Path | None = None,
    redact: Redact = str,
    environment: Mapping[str, str] = os.environ,
) -> Fanout:
    """The outputs of a run, to be closed by the caller.

    `changes` tells an apply, whose plans are shown as they come and which ends in a recap, from
    a plan; without `results` the caller has its own to show. Results go to `stdout`, narration to
    `stderr`: live when that is a terminal. With `json_lines`, `stdout` has events only, and
    `stderr` what a person must know. UsageError when a file that was asked for cannot be written;
    a record that cannot be kept is a notice.
    """
    outputs: list[Output] = []
    unkept: OSError | None = None
    if junit is not None:
        outputs.append(JUnit(_writable(junit)))
    try:
        outputs.append(RunRecord(state_directory(environment) / "runs"))
    except OSError as error:
        unkept = error
    if log_file is not None:
        try:
            outputs.append(LogFile(log_file))
        except OSError as error:
            for output in outputs:
                if isinstance(output, RunRecord):
                    output.close()
            raise UsageError(
                f"the log file {log_file} cannot be written: {error.strerror}"
            ) from error
    colour = wants_colour(stderr, environment)
    if json_lines:
        outputs += [Plain(stderr, verbosity=QUIET, style=Style(colour))]
        outputs.append(JsonLines(stdout, verbosity=verbosity))
    else:
        plans: Writer = stdout
        if is_terminal(stderr, environment):
            from provision.output.live import Live

            live = Live(stderr, colour=colour, verbosity=verbosity)
            outputs.append(live)
            if is_terminal(stdout, environment):  # the same screen: plans go above the display
                plans = live
        else:
            outputs.append(Plain(stderr, verbosity=verbosity, style=Style(colour)))
        style = Style(wants_colour(stdout, environment))
        width = shutil.get_terminal_size().columns if is_terminal(stdout, environment) else None
        if results:
            outputs.append(PlanText(plans, at_once=changes, style=style, width=width))
            outputs.append(Recap(stdout, style=style, width=width, always=changes))
    fanout = Fanout(outputs, redact)
    if unkept is not None:
        reason = unkept.strerror or str(unkept)
        fanout.handle(Notice(message=f"no record of this run can be kept: {reason}"))
    return fanout


def _writable(path: Path) -> Path:
    """Found out before the run, since the report is written when all is over."""
    parent = path.absolute().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK) or path.is_dir():
        raise UsageError(f"the JUnit report {path} cannot be written there")
    return path
