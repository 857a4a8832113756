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
requirements:
  - provision on the host, as the role M(provision.boards.station) installs it
  - provision on the controller, where O(project) is used
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.provision.boards.plugins.module_utils.command import (
    OPTIONS,
    Fleet,
)


def main():
    """Runs `provision facts`, which changes nothing."""
    module = AnsibleModule(
        argument_spec={**OPTIONS, "gather": {"type": "bool", "default": True}},
        mutually_exclusive=[("project", "manifest"), ("secrets", "secrets_file")],
        supports_check_mode=True,
    )
    fleet = Fleet(module)
    fleet.project()
    code, out, err = fleet.run("facts")
    try:
        boards = json.loads(out)
    except ValueError:
        fleet.fail((err or out).strip(), exit_code=code)
    if isinstance(boards, dict):
        fleet.fail("%s\nhint: %s" % (boards["error"], boards["hint"]), exit_code=code)
    failures = ["%s: %s" % (board["device"], board["error"]) for board in boards if board["error"]]
    result = {"changed": False, "exit_code": code, "boards": boards, "failures": failures}
    if module.params["gather"]:
        facts = {board.pop("device"): board for board in json.loads(out)}
        result["ansible_facts"] = {"provision_boards": facts}
    fleet.exit(**result)


if __name__ == "__main__":
    main()
