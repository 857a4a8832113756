#!/usr/bin/python
# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the boards of this host match the manifest."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: apply
short_description: Make the boards of a host match the manifest
description:
  - Observes every board that hangs on this host, flashes and writes only what differs, and proves
    that the app runs, as C(provision apply --here) does.
  - One task does all boards of a host at once. Those that fail are in the message, each with what
    to do about it; the others are done all the same.
author:
  - The provision authors
extends_documentation_fragment:
  - provision.boards.fleet
  - provision.boards.fleet.by_mac
attributes:
  check_mode:
    support: full
    description: Says what would change, as C(provision plan); no board is written.
  diff_mode:
    support: full
    description: Shows how text files on the boards change; secrets are masked.
options:
  accept_new_boards:
    description:
      - Accept that these devices have new boards; patterns as of O(limit).
    type: list
    elements: str
    default: []
  erase_new_boards:
    description:
      - Erase boards that are not in C(fleet.lock), whatever is on them. Nobody can be asked.
    type: bool
    default: false
  fail_fast:
    description:
      - Start no further device of this host once one has failed.
    type: bool
    default: false
  fresh:
    description:
      - Delete every file that the manifest does not name, and restart every board.
      - Needs O(erase_new_boards).
    type: bool
    default: false
  offline:
    description:
      - Use no network, only what is in the project, vendored or in the host's cache.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Boards as the manifest says
  provision.boards.apply:
    project: "{{ provision_manifest }}"
    secrets: "{{ vault_boards }}"

- name: A git checkout on the host, the boards of one group
  provision.boards.apply:
    manifest: /srv/fleet/fleet.yaml
    limit: ["@sensors"]
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
lock_changed:
  description: Whether boards were merged into the C(fleet.lock) on the controller.
  returned: where O(project) was given
  type: bool
"""

from ansible_collections.provision.boards.plugins.module_utils.command import (
    BY_MAC,
    Fleet,
    of_run,
)


def main():
    """Runs `provision apply`, in check mode `apply --check`."""
    fleet = Fleet(
        accept_new_boards={"type": "list", "elements": "str", "default": []},
        erase_new_boards={"type": "bool", "default": False},
        fail_fast={"type": "bool", "default": False},
        fresh={"type": "bool", "default": False},
        offline={"type": "bool", "default": False},
        **BY_MAC,
    )
    fleet.project()
    module = fleet.module
    words = []
    if module.check_mode:
        words += ["--check", "--detailed-exitcode"]
    if module._diff:
        words.append("--diff")
    for flag in ("fail_fast", "fresh", "match_by_mac", "offline"):
        if module.params[flag]:
            words.append("--" + flag.replace("_", "-"))
    if module.params["erase_new_boards"]:
        words.append("--yes")
    for pattern in module.params["accept_new_boards"]:
        words += ["--accept-new-board", pattern]
    code, events = fleet.events("apply", *words)
    result = of_run(events)
    if not module._diff:
        del result["diff"]
    outcomes = [device["outcome"] for device in result["devices"].values()]
    changes = [device["changes"] for device in result["devices"].values()]
    changed = "pending" in outcomes if module.check_mode else any(changes)
    fleet.exit(changed=changed, exit_code=code, **result)


if __name__ == "__main__":
    main()
