# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller does for the module `backup`."""

from __future__ import annotations

from ansible_collections.provision.boards.plugins.plugin_utils.controller import FleetAction


class ActionModule(FleetAction):
    """See FleetAction."""

    NAME = "backup"
