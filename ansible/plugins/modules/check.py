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
attributes:
  check_mode:
    support: none
    description: Restarts no app, so that it is skipped.
  diff_mode:
    support: none
    description: Nothing is written.
options:
  match_by_mac:
    description:
      - Find each board that is known by its MAC, whichever port of the host it is on.
    type: bool
    default: false
requirements:
  - provision on the host, as the role M(provision.boards.station) installs it
  - provision on the controller, where O(project) is used
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
      outcome: changed
      changes: 2
      done: [write-file /main.py, reset]
      mac: "5c:cf:7f:01:02:03"
      error: null
macs:
  description: Which boards the devices of this host are, by its C(fleet.lock).
  returned: always
  type: dict
  sample: {"kitchen": "5c:cf:7f:01:02:03"}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.provision.boards.plugins.module_utils.command import (
    OPTIONS,
    Fleet,
    of_run,
)


def main():
    """Runs `provision check`; in check mode, which may restart no app, nothing."""
    module = AnsibleModule(
        argument_spec={**OPTIONS, "match_by_mac": {"type": "bool", "default": False}},
        mutually_exclusive=[("project", "manifest"), ("secrets", "secrets_file")],
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="a check restarts the app of a board")
    fleet = Fleet(module)
    fleet.project()
    words = ["--match-by-mac"] if module.params["match_by_mac"] else []
    code, events = fleet.events("check", *words)
    result = of_run(events)
    del result["diff"]
    fleet.exit(changed=False, exit_code=code, **result)


if __name__ == "__main__":
    main()
