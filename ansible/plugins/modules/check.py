#!/usr/bin/python
# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proves that the apps on the boards of this host run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: check
short_description: Prove that the apps on a host's boards run
description:
  - Restarts the boards whose devices have a C(check), and runs it, as C(provision check) does.
  - Nothing is written; what a check gave is in RV(devices).
author:
  - The provision authors
extends_documentation_fragment:
  - provision.boards.fleet
  - provision.boards.fleet.by_mac
attributes:
  check_mode:
    support: none
    description: Restarts no app, so that it is skipped.
  diff_mode:
    support: none
    description: Nothing is written.
"""

EXAMPLES = r"""
- name: Do all apps run?
  provision.boards.check:
    project: "{{ provision_manifest }}"
"""

RETURN = r"""
devices:
  description: What became of each device of this host, by name.
  returned: always
  type: dict
  sample:
    kitchen:
      outcome: failed
      checked: [{name: temperature, asked: t.read(), passed: false, value: "85", min: 5, max: 40}]
      error: "the step temperature gave 85, more than 40"
macs:
  description: Which boards the devices of this host are, by its C(fleet.lock).
  returned: always
  type: dict
  sample: {"kitchen": "5c:cf:7f:01:02:03"}
"""

from ansible_collections.provision.boards.plugins.module_utils.command import (
    BY_MAC,
    Fleet,
    of_run,
)


def main():
    """Runs `provision check`; in check mode, which may restart no app, nothing."""
    fleet = Fleet(**BY_MAC)
    if fleet.module.check_mode:
        fleet.exit(changed=False, skipped=True, msg="a check restarts the app of a board")
    fleet.project()
    words = ["--match-by-mac"] if fleet.parameters["match_by_mac"] else []
    code, events = fleet.events("check", *words)
    result = of_run(events)
    del result["diff"]
    fleet.exit(changed=False, exit_code=code, **result)


if __name__ == "__main__":
    main()
