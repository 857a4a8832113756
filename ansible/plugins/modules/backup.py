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
requirements:
  - provision on the host, as the role M(provision.boards.station) installs it
  - provision on the controller, where O(project) is used
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.provision.boards.plugins.module_utils.command import (
    OPTIONS,
    Fleet,
    of_run,
)


def main():
    """Runs `provision backup`; in check mode nothing."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "dest": {"type": "path", "default": "~/provision-backups"},
            "fetch_to": {"type": "path"},
            "flash": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("project", "manifest"), ("secrets", "secrets_file")],
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, msg="would copy what is on the boards", backups={})
    fleet = Fleet(module)
    fleet.project()
    dest = module.params["dest"]
    before = folders(dest)
    words = ["--to", dest] + (["--flash"] if module.params["flash"] else [])
    code, events = fleet.events("backup", *words)
    result = of_run(events)
    del result["diff"], result["macs"]
    new = {
        device: sorted(names - before.get(device, set())) for device, names in folders(dest).items()
    }
    made = {device: os.path.join(dest, device, names[-1]) for device, names in new.items() if names}
    if module.params["fetch_to"] and made:
        archive = os.path.join(module.params["dest"], ".%d.tar.gz" % os.getpid())
        with os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz") as tar:
                for path in made.values():
                    tar.add(path, arcname=os.path.relpath(path, dest))
        result["archive"] = archive
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
