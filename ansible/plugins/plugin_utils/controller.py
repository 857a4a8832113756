# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller does around a module: it brings the project to the host, and what the host
has learned into the one fleet.lock."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import yaml
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

LEFT_OUT = {".git", ".venv", "venv", "__pycache__", "node_modules", "backups", "collections"}
NOT_FOR_HOSTS = (".ledger", ".ledger-wal", ".ledger-shm", ".retry", ".pyc", ".log")
PREFIX = "provision.boards."
NO_COMMAND = (
    "there is no provision command on the controller, neither on its PATH nor beside the Python "
    "that Ansible runs in: install it there, as by `pip install micropython-provision`"
)


def provision_command():
    """The controller's own `provision`: on its PATH, or beside the Python that Ansible runs in."""
    beside = os.path.join(os.path.dirname(sys.executable), "provision")
    return shutil.which("provision") or (beside if os.access(beside, os.X_OK) else None)


def files_below(folder):
    """The files of a project, as sorted paths with slashes; of links those that lead to a file."""
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in names:
            path = os.path.join(base, name)
            if not name.endswith(NOT_FOR_HOSTS) and os.path.isfile(path):
                found.append(os.path.relpath(path, folder).replace(os.sep, "/"))
    return sorted(found)


def archive_of(folder):
    """A project as one archive, made once a play however many hosts ask for it, and the digest of
    what is in it."""
    names = files_below(folder)
    signs = hashlib.sha256(os.path.abspath(folder).encode())
    for name in names:
        status = os.stat(os.path.join(folder, name))
        signs.update(json.dumps([name, status.st_size, status.st_mtime_ns]).encode())
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, "project-%s.tar.gz" % signs.hexdigest()[:32])
    if os.path.exists(path):
        with open(path + ".sha256") as file:
            return path, file.read()
    handle, beside = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP, prefix="project")
    digest = hashlib.sha256()
    with os.fdopen(handle, "wb") as raw:
        packed = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0)
        with packed, tarfile.open(fileobj=packed, mode="w") as tar:
            for name in names:
                source = os.path.join(folder, name)
                with open(source, "rb") as file:
                    member = tarfile.TarInfo(name)
                    status = os.fstat(file.fileno())
                    member.size, member.mode = status.st_size, status.st_mode & 0o700
                    digest.update(json.dumps([name, member.size, member.mode]).encode())
                    tar.addfile(member, _Digesting(file, digest))
    with open(beside + ".sha256", "w") as file:
        file.write(digest.hexdigest())
    os.replace(beside + ".sha256", path + ".sha256")
    os.replace(beside, path)
    return path, digest.hexdigest()


class _Digesting:
    """A file whose bytes are counted into a digest as they are read."""

    def __init__(self, file, digest):
        self.file = file
        self.digest = digest

    def read(self, size=-1):
        data = self.file.read(size)
        self.digest.update(data)
        return data


class FleetAction(ActionBase):
    """Runs the module NAME of this collection, with the project where it needs one."""

    TRANSFERS_FILES = True
    NAME = ""

    def run(self, tmp=None, task_vars=None):
        """As `ActionBase.run`."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments.setdefault(
            "host", task_vars.get("provision_host", task_vars["inventory_hostname"])
        )
        project, digest, archive = None, None, None
        if arguments.get("project") is not None:
            project = self._project(arguments["project"])
            archive, digest = archive_of(os.path.dirname(project))
            arguments.update(_digest=digest, _name=os.path.basename(project))
        if "fetch_to" in arguments:
            fetch_to = self._loader.path_dwim(arguments["fetch_to"])
        found = self._ask(arguments, task_vars)
        if found.pop("project_needed", False):
            arguments["_archive"] = self._bring(archive)
            found = self._ask(arguments, task_vars)
        result.update(found)
        if project is not None and result.get("macs") and not self._task.check_mode:
            self._merge(project, arguments, result)
        if result.get("archive") is not None:
            folder = os.path.join(fetch_to, task_vars["inventory_hostname"])
            result["fetched"] = self._fetch(result.pop("archive"), folder, task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _ask(self, arguments, task_vars):
        return self._execute_module(
            module_name=PREFIX + self.NAME, module_args=arguments, task_vars=task_vars
        )

    def _project(self, named):
        path = self._loader.path_dwim(named)
        if os.path.isdir(path):
            path = os.path.join(path, "fleet.yaml")
        if not os.path.isfile(path):
            raise AnsibleActionFail(
                "there is no %s on the controller: name the manifest, or its folder, by project"
                % path
            )
        return path

    def _bring(self, archive):
        """The archive, on the host, in the task's own folder there."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        path = self._connection._shell.join_path(self._connection._shell.tmpdir, "project.tar.gz")
        self._transfer_file(archive, path)
        self._fixup_perms2((self._connection._shell.tmpdir, path))
        return path

    def _merge(self, project, arguments, result):
        """Adds the boards that the host has learned to the fleet.lock of the manifest. One process
        does it for what is new; where nothing is, none is started."""
        lock = os.path.splitext(project)[0] + ".lock"
        known = _known_boards(lock)
        new = {name: mac for name, mac in result["macs"].items() if known.get(name) != mac}
        result["lock_changed"] = False
        if not new:
            return
        command = provision_command()
        if command is None:
            self._failed(result, NO_COMMAND)
            return
        line = [command, "lock", project, "--merge", "-", "--json"]
        for pattern in arguments.get("accept_new_boards") or ():
            line += ["--accept-new-board", pattern]
        text = json.dumps(
            {"version": 1, "devices": {name: {"mac": mac} for name, mac in new.items()}}
        )
        ended = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
        try:
            merged = json.loads(ended.stdout)
        except ValueError:
            merged = {}
        result["lock_changed"] = bool(merged.get("learned"))
        if ended.returncode != 0:
            self._failed(result, "%s was not merged: %s" % (lock, ended.stderr.strip()))

    def _failed(self, result, message):
        before = result.get("msg") if result.get("failed") else None
        result.update(failed=True, msg="%s\n%s" % (before, message) if before else message)

    def _fetch(self, archive, folder, task_vars):
        """Copies the new backups here, readable by their owner alone."""
        with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as here:
            copy = os.path.join(here, "backups.tar.gz")
            try:
                self._connection.fetch_file(archive, copy)
            finally:  # it holds what the boards hold
                self._execute_module(
                    module_name="ansible.builtin.file",
                    module_args={"path": archive, "state": "absent"},
                    task_vars=task_vars,
                )
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with tarfile.open(copy) as tar:
                tar.extractall(folder, filter="data")
        return folder


def _known_boards(lock):
    """The MACs that a fleet.lock has, by device; none of one that cannot be read, which provision
    itself tells about."""
    try:
        with open(lock, encoding="utf-8") as file:
            devices = (yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get(
                "devices"
            )
        return {name: (entry or {}).get("mac") for name, entry in (devices or {}).items()}
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return {}
