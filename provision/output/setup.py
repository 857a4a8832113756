"""Chooses the outputs of one run from what the command line and the terminal say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from provision.core.wording import Redact
from provision.errors import UsageError
from provision.model.event import Notice, RunFailed
from provision.output.fanout import Fanout, Output
from provision.output.jsonlines import JsonLines
from provision.output.plain import QUIET, Plain
from provision.output.results import PlanText, Recap, Width, Writer, no_width
from provision.output.run_log import LogFile, RunRecord, state_directory
from provision.output.style import Style, is_terminal, wants_colour


def open_outputs(
    *,
    stdout: TextIO,
    stderr: TextIO,
    results: bool = True,
    console: bool = False,
    directory: Path | None = None,
    json_lines: bool = False,
    verbosity: int = 0,
    log_file: Path | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    redact: Redact = str,
    suggest: Redact = str,
    environment: Mapping[str, str] = os.environ,
) -> Fanout:
    """The outputs of a run, to be closed by the caller.

    Without `results` the caller shows its own. With `console` what boards print is the result,
    that of each device also in a file of `directory`, if one is given. Results go to `stdout`,
    progress to `stderr`: live when that is a terminal. At the verbosity `plain.QUIET` there is no
    progress, and of the results what went wrong and the totals. With `json_lines`, `stdout` has
    events only, and `stderr` what a person must know. UsageError when a file that was asked for
    cannot be written; a record that cannot be kept is a notice.
    """
    outputs = _reports(junit, html)
    unkept: OSError | None = None
    if directory is not None:
        from provision.output.console import ConsoleFiles

        outputs.append(ConsoleFiles(directory))
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
                f"the log file {log_file} cannot be written: {error.strerror}",
                hint="give another path with --log-file FILE",
            ) from error
    colour = wants_colour(stderr, environment)
    if console and not json_lines:
        from provision.output.console import ConsoleText

        outputs.append(Plain(stderr, verbosity=verbosity or QUIET, style=Style(colour)))
        outputs.append(ConsoleText(stdout, style=Style(wants_colour(stdout, environment))))
    elif json_lines:
        outputs += [Plain(stderr, verbosity=QUIET, style=Style(colour))]
        outputs.append(JsonLines(stdout, verbosity=verbosity))
    else:
        plans: Writer = stdout
        quiet = verbosity <= QUIET
        if not quiet and is_terminal(stderr, environment):
            from provision.output.live import Live

            live = Live(stderr, colour=colour, verbosity=verbosity)
            outputs.append(live)
            if is_terminal(stdout, environment):  # the same screen: plans go above the display
                plans = live
        else:
            outputs.append(Plain(stderr, verbosity=verbosity, style=Style(colour), fold=quiet))
        style = Style(wants_colour(stdout, environment))
        width: Width = no_width
        if is_terminal(stdout, environment):
            width = _terminal_width
        if results:
            outputs.append(PlanText(plans, style=style, width=width, quiet=quiet))
            outputs.append(Recap(stdout, style=style, width=width, quiet=quiet))
    fanout = Fanout(outputs, redact, suggest)
    if unkept is not None:
        reason = unkept.strerror or str(unkept)
        fanout.handle(Notice(message=f"no record of this run is kept: {reason}"))
    return fanout


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns


def tell_failed(
    failed: RunFailed,
    *,
    stdout: TextIO,
    json_lines: bool = False,
    junit: Path | None = None,
    html: Path | None = None,
) -> None:
    """What others are told of a run that could not even begin: as JSON lines, JUnit and HTML, where
    these were asked for. Its texts hold no secret."""
    outputs = _reports(junit, html)
    if json_lines:
        outputs.append(JsonLines(stdout))
    with Fanout(outputs) as fanout:
        fanout.handle(failed)


def _reports(junit: Path | None, html: Path | None) -> list[Output]:
    """Those that were asked for, which are written when the run is over."""
    outputs: list[Output] = []
    if junit is not None:
        check_writable(junit, "JUnit")
        from provision.output.reports.junit import JUnit

        outputs.append(JUnit(junit))
    if html is not None:
        check_writable(html, "HTML")
        from provision.output.reports.html import HtmlReport

        outputs.append(HtmlReport(html))
    return outputs


def check_writable(path: Path, kind: str) -> None:
    """Before the run, since a report is written when it is over; UsageError where it cannot be."""
    parent = path.absolute().parent
    if path.is_dir():
        why = "that is a directory"
    elif not parent.is_dir():
        why = f"there is no directory {parent}"
    elif not os.access(parent, os.W_OK):
        why = f"no permission to write in {parent}"
    else:
        return
    raise unwritable(path, kind, why)


def unwritable(path: Path, kind: str, why: str) -> UsageError:
    """Of a report, before the run or after it."""
    return UsageError(
        f"the {kind} report {path} cannot be written: {why}",
        hint=f"give another path with --{kind.lower()} FILE",
    )
