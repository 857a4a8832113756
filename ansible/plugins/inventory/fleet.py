# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts of a manifest as an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: The hosts that the boards of a manifest hang on
description:
  - Makes a host of each C(host:) of a C(fleet.yaml), and a group of each group of the manifest,
    with the hosts that have a device of it; all are in the group O(group).
  - A host has the variables C(provision_host), its name in the manifest, C(provision_devices), the
    devices that hang on it, and C(provision_manifest), the manifest on the controller.
  - Asks the controller's C(provision show --hosts), which looks at no source or board.
author:
  - The provision authors
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: That this is the source of this plugin.
    required: true
    choices: [provision.boards.fleet]
  manifest:
    description: The manifest, or its folder, relative to this file.
    type: str
    default: fleet.yaml
  group:
    description: The group that all hosts of the manifest are in.
    type: str
    default: provision
  group_prefix:
    description: Put before the name of each group of the manifest.
    type: str
    default: ""
  secrets:
    description: A secrets file, where C(host:) uses variables that need one, relative to this file.
    type: str
"""

EXAMPLES = r"""
# rooms.provision.yml
plugin: provision.boards.fleet
manifest: ../fleet.yaml
compose:
  ansible_user: "'provision'"
  ansible_host: provision_host + '.school.example'
"""

import json
import os
import subprocess

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible_collections.provision.boards.plugins.plugin_utils.controller import (
    NO_COMMAND,
    provision_command,
)


class InventoryModule(BaseInventoryPlugin, Constructable):
    """See DOCUMENTATION."""

    NAME = "provision.boards.fleet"

    def verify_file(self, path):
        """Whether a source is one of this plugin, by its name."""
        return super().verify_file(path) and path.endswith(("provision.yml", "provision.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """As `BaseInventoryPlugin.parse`."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        folder = os.path.dirname(os.path.abspath(path))
        manifest = os.path.join(folder, self.get_option("manifest"))
        secrets = self.get_option("secrets")
        found = self._hosts(manifest, os.path.join(folder, secrets) if secrets else None)
        everyone = inventory.add_group(self.get_option("group"))
        for host, devices in found["hosts"].items():
            inventory.add_host(host, group=everyone)
            variables = {
                "provision_host": host,
                "provision_devices": devices,
                "provision_manifest": found["manifest"],
            }
            for name, value in variables.items():
                inventory.set_variable(host, name, value)
            groups = {group for device in devices for group in found["groups"][device]}
            for group in sorted(groups):
                name = self._sanitize_group_name(self.get_option("group_prefix") + group)
                inventory.add_host(host, group=inventory.add_group(name))
            strict = self.get_option("strict")
            self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
            self._add_host_to_composed_groups(
                self.get_option("groups"), variables, host, strict=strict
            )
            self._add_host_to_keyed_groups(
                self.get_option("keyed_groups"), variables, host, strict=strict
            )

    def _hosts(self, manifest, secrets):
        command = provision_command()
        if command is None:
            raise AnsibleParserError(NO_COMMAND)
        line = [command, "show", manifest, "--hosts", "--json"]
        line += ["--secrets", secrets] if secrets else []
        ended = subprocess.run(line, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise AnsibleParserError("%s: %s" % (manifest, (ended.stderr or ended.stdout).strip()))
        return json.loads(ended.stdout)
