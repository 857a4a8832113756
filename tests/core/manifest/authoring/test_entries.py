"""Devices as lines of a manifest: what is written is read as it was meant, whatever boards say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.authoring.entries import (
    NewDevice,
    Setting,
    is_device_name,
    next_name,
    port_setting,
    scalar,
)
from provision.core.manifest.yaml_parser import parse
from provision.model.state import PortSelector


@given(st.text(max_size=40) | st.sampled_from(["null", "~", "on", "1.20", "a: b", "a #b", "- a"]))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    try:
        written = scalar(text)
    except ValueError:
        assert not text.isprintable() or "{{" in text or "{%" in text
        return
    tree = parse(f"key: {written}\n{written}: key\n", "").tree
    assert tree is not None
    assert tree == {"key": text, text: "key"} or text == "key"
    assert not any(key.null for key in tree)


@given(st.text(max_size=400), st.text(max_size=400))
def test_no_comment_breaks_out_of_its_line(why: str, note: str) -> None:
    device = NewDevice(
        name="a", settings=(Setting(key="board", value="esp32", comment=why),), notes=(note,)
    )
    tree = parse("\n".join(["devices:", *device.lines(2), "end: x"]), "").tree
    assert tree == {"devices": {"a": {"board": "esp32"}}, "end": "x"}


@pytest.mark.parametrize(
    ("selector", "written"),
    [
        (PortSelector(kind="path", value="/dev/ttyUSB0"), "port: /dev/ttyUSB0"),
        (PortSelector(kind="path", value="COM3"), "port: COM3"),
        (PortSelector(kind="url", value="sim://a"), 'port: "sim://a"'),
        (PortSelector(kind="any", value="any"), "port: any"),
        (PortSelector(kind="serial", value='A"7'), 'port: {serial: "A\\"7"}'),
        (PortSelector(kind="location", value="1-1.4"), 'port: {location: "1-1.4"}'),
    ],
)
def test_ports(selector: PortSelector, written: str) -> None:
    device = NewDevice(name="a", settings=(port_setting(selector),))
    assert device.lines(0) == ["a:", f"  {written}"]


@pytest.mark.parametrize(
    ("name", "after"),
    [("desk-07", "desk-08"), ("desk-9", "desk-10"), ("desk-99", "desk-100"), ("a1b2c", "a1b3c"),
     ("kitchen", None), ("", None), ("007", "008")],
)  # fmt: skip
def test_the_name_that_comes_next(name: str, after: str | None) -> None:
    assert next_name(name) == after


def test_names_of_devices() -> None:
    assert all(map(is_device_name, ("desk-07", "a", "küche", "null", "7")))
    assert not any(map(is_device_name, ("", "desk-[1:3]", "a b", "-", "@a", "a,b", "a\n")))
