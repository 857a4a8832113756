"""What one device is given besides its files: the entries of `nvs`, each a value of its type, and
its certificate.

Values are templates, so that a range of devices has one entry and each its own value; a secret that
goes into one makes it sensitive, as it does a file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import cast

from provision.core.chips.registry import family_of
from provision.core.manifest.model import Layer, NvsSetting
from provision.core.manifest.resolve.destinations import clean_dest
from provision.core.manifest.resolve.file_placement import Sources
from provision.core.manifest.resolve.packages import Report
from provision.core.manifest.template import PATH, render, render_path
from provision.core.wording import byte_size, quoted
from provision.errors import TemplateError
from provision.model.board import BoardProfile
from provision.model.secret import PLACEHOLDER
from provision.model.state import Content, DesiredFile
from provision.model.unit_data import (
    DesiredCertificate,
    NvsEntry,
    NvsType,
    number_data,
    number_range,
)

LONGEST = 3999
"""Bytes of the longest value: of text, what fits in a page of NVS with the NUL at its end. A longer
blob is a file's matter, of which 24 kB of NVS would not hold many."""


def nvs_entries(
    layers: tuple[Layer, ...],
    variables: Mapping[str, object],
    board: BoardProfile,
    sources: Sources,
    report: Report,
) -> tuple[NvsEntry, ...]:
    """A device's entries, the later layer's winning, sorted by namespace and key; what is wrong
    goes to `report`, and is left out."""
    settings = {one.place: one for layer in layers for one in layer.nvs}
    reserved = family_of(board.chip).reserved_nvs(board.chip)
    made: list[NvsEntry] = []
    for place in sorted(settings):
        one = settings[place]
        if reserved is None:
            report(one.key, one.path, f"an {board.chip.label} has no NVS; keep it in a file")
        elif str(one.namespace) in reserved:
            message = f"the namespace {quoted(str(one.namespace))} is the firmware's own"
            report(one.namespace, one.path, f"{message}; choose another")
        else:
            entry = _entry(one, variables, sources, report)
            if entry is not None:
                made.append(entry)
    return tuple(made)


def _entry(
    one: NvsSetting, variables: Mapping[str, object], sources: Sources, report: Report
) -> NvsEntry | None:
    try:
        content = _content(one, variables, sources)
        if PLACEHOLDER in content.secrets:
            return None
        kind, data = _typed(one, content)
    except TemplateError as error:
        report(one.value, one.path, error.problem.message)
        return None
    except OSError as error:
        message = f"{quoted(str(one.value))}: {error.strerror or error}"
        report(one.value, one.path, message)
        return None
    except ValueError as error:
        report(one.value, one.path, str(error))
        return None
    return NvsEntry(
        namespace=str(one.namespace),
        key=str(one.key),
        type=kind,
        data=data,
        secrets=content.secrets,
    )


def _content(one: NvsSetting, variables: Mapping[str, object], sources: Sources) -> Content:
    text = str(one.value)
    if one.form == "file":
        path = render_path(text, variables=variables)
        withheld = sources.withheld(path)
        if withheld is not None:
            raise ValueError(f"{quoted(path)} {withheld}, and never goes to a board")
        return sources.read(path)
    if "{" not in text:
        return Content(data=text.encode())
    return render(text, name=PATH, variables=variables)


def _typed(one: NvsSetting, content: Content) -> tuple[NvsType, bytes]:
    """The type and the bytes of a value; ValueError in words where it is none. A value with a
    secret in it is not shown."""
    data = content.data
    if one.form == "hex":
        data = _decoded(content, lambda text: bytes.fromhex(text.decode()), "hexadecimal digits")
    elif one.form == "base64":
        data = _decoded(content, lambda text: base64.b64decode(text, validate=True), "base64")
    elif one.form not in ("blob", "file"):
        kind = cast(NvsType, one.form)
        bounds = number_range(kind)
        if bounds is not None:
            return kind, number_data(kind, _number(content, kind, *bounds))
        if b"\0" in data:
            raise ValueError("a text in NVS ends at its first NUL; write it as a `blob`")
        return kind, _short_enough(data)
    return "blob", _short_enough(data)


def _decoded(content: Content, decode: object, what: str) -> bytes:
    assert callable(decode)
    try:
        data = decode(b"".join(content.data.split()))
    except (binascii.Error, ValueError):
        raise ValueError(f"{_shown(content)} is not {what}") from None
    assert isinstance(data, bytes)
    return data


def _number(content: Content, kind: str, least: int, most: int) -> int:
    text = content.data.decode("utf-8", "replace").strip()
    try:
        number = int(text, 0) if text.isascii() and len(text) < 40 else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"{_shown(content)} is not a whole number")
    if not least <= number <= most:
        raise ValueError(f"{_shown(content)} is no {kind}, which goes from {least} to {most}")
    return number


def _shown(content: Content) -> str:
    if content.sensitive:
        return "a value (not shown: a secret is part of it)"
    return quoted(content.data.decode("utf-8", "replace"))


def _short_enough(data: bytes) -> bytes:
    if len(data) > LONGEST:
        size = byte_size(len(data))
        raise ValueError(f"{size} are too much for NVS, {LONGEST:,} bytes at most; use a file")
    return data


def certificate_of(
    layers: tuple[Layer, ...],
    variables: Mapping[str, object],
    files: Sequence[DesiredFile],
    sources: Sources,
    report: Report,
) -> DesiredCertificate | None:
    """The certificate of a device that gets these files; what is wrong goes to `report`."""
    entry = next((layer.certificate for layer in reversed(layers) if layer.certificate), None)
    if entry is None:
        return None
    texts: dict[str, str] = {}
    dests = ("dest_cert", entry.dest_cert), ("dest_key", entry.dest_key)
    for name, text in (("cn", entry.cn), *dests):
        try:
            written = render_path(str(text), variables=variables)
            texts[name] = clean_dest(written) if name != "cn" else _common_name(written)
        except TemplateError as error:
            report(text, f"{entry.path}.{name}", error.problem.message)
        except ValueError as error:
            report(text, f"{entry.path}.{name}", str(error))
    read: dict[str, bytes] = {}
    for name, text in (("cert", entry.ca_cert), ("key", entry.ca_key)):
        try:
            read[name] = sources.read(str(text)).data
        except OSError as error:
            message = f"{quoted(str(text))}: {error.strerror or error}"
            report(text, f"{entry.path}.ca.{name}", message)
    for name, text in dests:
        if any(file.dest == texts.get(name) for file in files):
            message = f"{quoted(texts[name])} is a file of the manifest already"
            report(text, f"{entry.path}.{name}", message)
    for file in files:
        if file.content.data == read.get("key"):
            message = f"{quoted(file.source)} is the CA's key, which never goes to a board"
            report(entry.ca_key, f"{entry.path}.ca.key", message)
    if len(texts) < 3 or len(read) < 2:
        return None
    if texts["dest_cert"] == texts["dest_key"]:
        report(entry.node, entry.path, "key and certificate need two files")
        return None
    return DesiredCertificate(
        ca=str(entry.ca_cert),
        ca_cert=read["cert"],
        ca_key=read["key"],
        cn=texts["cn"],
        dest_cert=texts["dest_cert"],
        dest_key=texts["dest_key"],
        key=entry.key,
        days=entry.days,
        renew=entry.renew,
    )


def _common_name(text: str) -> str:
    if not 0 < len(text) <= 64 or not text.isprintable():  # X.520's bound
        raise ValueError(f"{quoted(text)} is no common name of 1 to 64 characters")
    return text
