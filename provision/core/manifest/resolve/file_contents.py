"""What each file of a device holds: read, rendered or compiled, and fit for MicroPython.

Contents that devices share are made once. A mistake inside a source is told at its own line.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import replace

from provision.core.manifest.resolve.file_placement import FilePlacement, Sources
from provision.core.manifest.resolve.packages import LibraryFiles, Report
from provision.core.manifest.template import render
from provision.core.manifest.yaml_parser import NotText, decode
from provision.core.wording import quoted
from provision.errors import CompileError, Place, Problem, TemplateError
from provision.model.chip import Chip
from provision.model.state import Content, DesiredFile, FirmwareSource


class FileContents:
    """Makes the files of placements; None, with the problem told, where one cannot be made."""

    def __init__(
        self,
        sources: Sources,
        library: LibraryFiles,
        report: Report,
        add_problem: Callable[[Problem], None],
    ) -> None:
        self._sources = sources
        self._library = library
        self._report = report
        self._add_problem = add_problem
        self._shared_files: dict[tuple[str | None, str, bool], DesiredFile] = {}
        self._texts: dict[str, str] = {}

    def file(self, placement: FilePlacement, variables: Mapping[str, object]) -> DesiredFile | None:
        if not placement.template:
            key = (placement.source, placement.dest, placement.entry.create_only)
            shared = self._shared_files.get(key)
            if shared is None:
                content = self._read(placement)
                if content is None or not self._readable_source(placement, content):
                    return None
                shared = self._shared_files[key] = _desired_file(placement, content)
            return shared
        text = self._template(placement)
        if text is None:
            return None
        assert placement.source is not None
        try:
            content = render(text, name=self._sources.locate(placement.source), variables=variables)
        except TemplateError as error:
            self._add_problem(error.problem)
            return None
        return _desired_file(placement, content)

    def compiled(
        self,
        placement: FilePlacement,
        variables: Mapping[str, object],
        firmware: FirmwareSource | None,
        chip: Chip,
    ) -> DesiredFile | None:
        file = self.file(placement, variables)
        if file is None:
            return None
        content = self._library.compiled(placement, file.content, firmware, chip)
        if isinstance(content, CompileError):
            assert placement.source is not None
            line, message = content.line, f"does not compile: {content.reason}"
            if placement.template:
                line, message = 1, f"line {content.line} of what it renders to {message}"
            self._add_problem(self._problem_in(placement.source, line, message))
            return None
        return replace(file, content=content) if content is not None else None

    def _read(self, placement: FilePlacement) -> Content | None:
        assert placement.source is not None
        try:
            return self._sources.read(placement.source)
        except OSError as error:
            entry = placement.entry
            message = f"{quoted(placement.source)}: {error.strerror or error}"
            self._report(entry.src or entry.node, f"{entry.path}.src", message)
            return None

    def _readable_source(self, placement: FilePlacement, content: Content) -> bool:
        """Whether MicroPython reads a file as the source that it is meant to be, if it is one. It
        takes a byte order mark for the start of the first word."""
        if not placement.dest.endswith(".py") and not placement.compile:
            return True
        start = content.data[:4]
        if start.startswith(codecs.BOM_UTF8):
            message = (
                "starts with a byte order mark, which MicroPython takes for a part of the code"
            )
        elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:2]:
            message = "is UTF-16, which MicroPython cannot read"
        else:
            return True
        assert placement.source is not None
        message += "; save the file as UTF-8, without a byte order mark"
        self._add_problem(self._problem_in(placement.source, 1, message))
        return False

    def _template(self, placement: FilePlacement) -> str | None:
        """A template's text; None, with the problem reported, where it is no text."""
        assert placement.source is not None
        text = self._texts.get(placement.source)
        if text is None:
            content = self._read(placement)
            if content is None:
                return None
            try:
                text = decode(content.data, self._sources.locate(placement.source))
            except NotText as error:
                self._add_problem(error.problem)
                return None
            self._texts[placement.source] = text
        return text

    def _problem_in(self, source: str, line: int, message: str) -> Problem:
        place = Place(file=self._sources.locate(source), line=line, column=1)
        return Problem(place=place, path="", message=message)


def _desired_file(placement: FilePlacement, content: Content) -> DesiredFile:
    assert placement.source is not None
    return DesiredFile(
        dest=placement.dest,
        source=placement.source,
        content=content,
        create_only=placement.entry.create_only,
        template=placement.template,
    )
