#!/usr/bin/python
# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies everything that is on the boards of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup
short_description: Copy everything that is on a host's boards
description:
  - Every file of each board, verified, with its firmware, MAC and partition table, as C(provision
    backup) makes it and C(provision restore) puts it back.
  - A backup may hold secrets. It is readable by its owner alone.
author:
  - The provision authors
extends_documentation_fragment:
  - provision.boards.fleet
attributes:
  check_mode:
    support: partial
    description: Says that backups would be made; no board is asked.
  diff_mode:
    support: none
    description: Changes no board.
options:
  dest:
    description:
      - The folder on the host that gets a folder for each device, and in it one for each backup.
    type: path
    default: ~/provision-backups
  fetch_to:
    description:
      - A folder on the controller that gets a copy of the new backups, below the host's name.
    type: path
  flash:
    description:
      - Also the whole flash, through the bootloader.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: A copy of every board, brought here
  provision.boards.backup:
    project: "{{ provision_manifest }}"
    fetch_to: backups
"""

RETURN = r"""
backups:
  description: Where on the host the new backup of each device is.
  returned: always
  type: dict
  sample: {"kitchen": "/home/pi/provision-backups/kitchen/20261129-204833"}
fetched:
  description: The folder on the controller that they were copied to.
  returned: where O(fetch_to) was given
  type: str
"""

import os
import tarfile
import tempfile

from ansible_collections.provision.boards.plugins.module_utils.command import Fleet, of_run


def main():
    """Runs `provision backup`; in check mode nothing."""
    fleet = Fleet(
        dest={"type": "path", "default": "~/provision-backups"},
        fetch_to={"type": "path"},
        flash={"type": "bool", "default": False},
    )
    if fleet.module.check_mode:
        fleet.exit(changed=True, msg="would copy what is on the boards", backups={})
    fleet.project()
    dest = fleet.parameters["dest"]
    before = folders(dest)
    words = ["--to", dest] + (["--flash"] if fleet.parameters["flash"] else [])
    code, events = fleet.events("backup", *words)
    result = of_run(events)
    del result["diff"], result["macs"]
    new = {
        device: sorted(names - before.get(device, set())) for device, names in folders(dest).items()
    }
    made = {device: os.path.join(dest, device, names[-1]) for device, names in new.items() if names}
    if fleet.parameters["fetch_to"] and made:
        handle, result["archive"] = tempfile.mkstemp(dir=dest, prefix=".", suffix=".tar.gz")
        try:
            with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
                for path in made.values():
                    tar.add(path, arcname=os.path.relpath(path, dest))
        except OSError as error:
            os.unlink(result.pop("archive"))
            fleet.fail("the backups in %s cannot be packed for fetch_to: %s" % (dest, error))
    fleet.exit(changed=bool(made), exit_code=code, backups=made, **result)


def folders(dest):
    """The backups of each device that lie in a folder."""
    found = {}
    for device in os.listdir(dest) if os.path.isdir(dest) else ():
        below = os.path.join(dest, device)
        if os.path.isdir(below):
            found[device] = set(os.listdir(below))
    return found


if __name__ == "__main__":
    main()
