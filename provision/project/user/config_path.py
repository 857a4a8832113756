"""Where the user's configuration file is; apart, so that to find none takes no time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

FILE_VARIABLE = "PROVISION_CONFIG"


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, or would be; `PROVISION_CONFIG` names another one."""
    named = environment.get(FILE_VARIABLE)
    if named:
        return Path(named).absolute()
    import platformdirs

    return platformdirs.user_config_path("provision") / "config.yaml"
