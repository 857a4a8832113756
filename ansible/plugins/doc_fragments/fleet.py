# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules about boards have in common, for ansible-doc."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that every module of the collection has, and BY_MAC of those that look for boards."""

    DOCUMENTATION = r"""
options:
  project:
    description:
      - The manifest on the controller, or the folder that holds its C(fleet.yaml).
      - The folder is brought to the host first, where it is not the same there already, in check
        mode too; C(.git), virtual environments, ledgers and backups stay behind.
      - Boards that the host has learned are merged into the C(fleet.lock) on the controller.
      - Exactly one of O(project) and O(manifest) is needed.
    type: path
  project_dest:
    description:
      - The folder on the host that O(project) is brought to. It is readable by its owner alone.
      - What this module put there before and is not in O(project) any more is removed.
    type: path
    default: ~/.local/share/provision/project
  manifest:
    description:
      - The manifest on the host, as of a git checkout there.
    type: path
  host:
    description:
      - Which C(host:) of the manifest this host is.
      - The name in the inventory if left out.
    type: str
  limit:
    description:
      - Only these devices, of those of the host; patterns as of C(provision --limit).
    type: list
    elements: str
    default: []
  forks:
    description:
      - How many boards of the host to work on at once, 0 for all.
    type: int
    default: 0
  secrets_file:
    description:
      - A secrets file on the host, whose values replace those of the project's C(secrets.yaml).
      - Not with O(secrets).
    type: path
  secrets:
    description:
      - Secrets of the manifest by name, as from a vault. They reach the host by Ansible's own
        connection and the command by a pipe; this module writes them to no file.
    type: dict
  executable:
    description:
      - The C(provision) command on the host.
      - Found in C(PATH), C(~/.local/bin) and C(/opt/provision/bin) if left out.
    type: path
requirements:
  - provision on the host, as the role M(provision.boards.station) installs it
  - provision on the controller, where O(project) is used
"""

    BY_MAC = r"""
options:
  match_by_mac:
    description:
      - Find each board that is known by its MAC, whichever port of the host it is on.
    type: bool
    default: false
"""
