#!/usr/bin/python
# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells what the boards of this host are."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: facts
short_description: Tell what the boards of a host are
description:
  - Chip, MAC, flash, firmware and free space of each board, as C(provision facts) observes them.
author:
  - The provision authors
extends_documentation_fragment:
  - provision.boards.fleet
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  gather:
    description:
      - Keep them as the fact C(provision_boards) too.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: What is there?
  provision.boards.facts:
    project: "{{ provision_manifest }}"

- name: Boards with an old firmware
  ansible.builtin.debug:
    msg: "{{ provision_boards | dict2items | selectattr('value.firmware', 'ne', '1.24.1') }}"
"""

RETURN = r"""
boards:
  description: One entry a device, as C(provision facts --json) has it.
  returned: always
  type: list
  elements: dict
  sample:
    - device: kitchen
      host: room-1
      chip: ESP32
      mac: "5c:cf:7f:01:02:03"
      firmware: 1.24.1
"""

import json

from ansible_collections.provision.boards.plugins.module_utils.command import Fleet


def main():
    """Runs `provision facts`, which changes nothing."""
    fleet = Fleet(gather={"type": "bool", "default": True})
    fleet.project()
    code, out, err = fleet.run("facts")
    try:
        boards = json.loads(out)
    except ValueError:
        fleet.unreadable(code, out, err)
    if isinstance(boards, dict):
        fleet.fail("%s\nhint: %s" % (boards["error"], boards["hint"]), exit_code=code)
    failures = ["%s: %s" % (board["device"], board["error"]) for board in boards if board["error"]]
    result = {"changed": False, "exit_code": code, "boards": boards, "failures": failures}
    if fleet.parameters["gather"]:
        facts = {
            board["device"]: {name: value for name, value in board.items() if name != "device"}
            for board in boards
        }
        result["ansible_facts"] = {"provision_boards": facts}
    fleet.exit(**result)


if __name__ == "__main__":
    main()
