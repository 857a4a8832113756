# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the host's own `provision` command and reads the JSON that it prints, on the host."""

from __future__ import annotations

import json
import os
import shutil
import tarfile

CHANGES_PENDING = 6  # exit code of `--detailed-exitcode`
FAILED = ("failed", "rolled-back", "refused", "unreachable", "interrupted")
PLACES = ("~/.local/bin", "/opt/provision/bin", "/usr/local/bin")
STAMP = ".provision-project"

OPTIONS = {
    "project": {"type": "path"},
    "project_dest": {"type": "path", "default": "~/.local/share/provision/project"},
    "manifest": {"type": "path"},
    "host": {"type": "str"},
    "limit": {"type": "list", "elements": "str", "default": []},
    "forks": {"type": "int", "default": 0},
    "secrets_file": {"type": "path", "no_log": False},
    "secrets": {"type": "dict", "no_log": True},
    "executable": {"type": "path"},
    # Given by the action plugin alone: what it brings of the project.
    "_archive": {"type": "path"},
    "_digest": {"type": "str"},
    "_name": {"type": "str"},
}


class Fleet:
    """The boards of this host, as a module was asked for them."""

    def __init__(self, module):
        self.module = module
        self.parameters = module.params

    def project(self):
        """Unpacks what the action plugin brought, and ends the module where it has to bring it."""
        digest = self.parameters["_digest"]
        if digest is None:
            if not self.parameters["manifest"]:
                self.module.fail_json(msg="one of project and manifest is needed")
            return
        folder = self.parameters["project_dest"]
        stamp = os.path.join(folder, STAMP)
        known = _read_json(stamp)
        name = self.parameters["_name"]
        self.parameters["manifest"] = os.path.join(folder, name)
        if known.get("digest") == digest:
            return
        archive = self.parameters["_archive"]
        if archive is None:
            self.module.exit_json(changed=False, project_needed=True)
        with _locked(folder):
            self._unpack(archive, folder, known.get("files", []), os.path.splitext(name)[0])
            names = sorted(_members(archive))
            _write_private(stamp, json.dumps({"digest": digest, "files": names}))

    def _unpack(self, archive, folder, before, stem):
        """Replaces each file whole. The lock of the host has what it learned since: it is merged
        into the one that comes."""
        lock = os.path.join(folder, stem + ".lock")
        kept = None
        if os.path.isfile(lock):
            kept = os.path.join(self.module.tmpdir, "learned.lock")
            shutil.copyfile(lock, kept)
        now = set()
        with tarfile.open(archive) as tar:
            for member in tar:
                target = _inside(folder, member.name)
                if not member.isfile():
                    continue
                now.add(member.name)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                if os.path.isdir(target) and not os.path.islink(target):
                    shutil.rmtree(target)
                beside = target + ".new"
                with tar.extractfile(member) as source, open(beside, "wb") as copy:
                    shutil.copyfileobj(source, copy)
                os.chmod(beside, 0o700 if member.mode & 0o100 else 0o600)
                os.replace(beside, target)
        for name in before:
            if name not in now:
                gone = _inside(folder, name)
                if os.path.isfile(gone) or os.path.islink(gone):
                    os.unlink(gone)
                _remove_empty(os.path.dirname(gone), folder)
        if kept is not None:
            command = [self.executable(), "lock", self.parameters["manifest"], "--merge", kept]
            code, _out, err = self.module.run_command(command)
            if code != 0:
                self.module.warn("boards learned on this host were not kept: " + err.strip())

    def executable(self):
        """The path of the command."""
        named = self.parameters["executable"]
        if named is not None:
            return named
        places = [os.path.expanduser(place) for place in PLACES]
        found = self.module.get_bin_path("provision", opt_dirs=places)
        if found is None:
            self.module.fail_json(
                msg="there is no provision command on this host; the role "
                "provision.boards.station installs it, or name it by executable"
            )
        return found

    def run(self, command, *words):
        """The exit code and what it printed, of one command about this host's boards."""
        parameters = self.parameters
        line = [self.executable(), command]
        line += ["-m", parameters["manifest"]] if command == "backup" else [parameters["manifest"]]
        line += ["--host", parameters["host"], "--forks", str(parameters["forks"]), "--json"]
        for pattern in parameters["limit"]:
            line += ["--limit", pattern]
        line += words
        secrets = parameters["secrets"]
        if secrets:  # JSON is YAML; by a pipe, so that they are in no file whatever becomes of us
            values = {str(name): str(value) for name, value in secrets.items()}
            line += ["--secrets", "/dev/stdin"]
            return self.module.run_command(line, data=json.dumps(values))
        if parameters["secrets_file"]:
            line += ["--secrets", parameters["secrets_file"]]
        return self.module.run_command(line)

    def events(self, command, *words):
        """The same with the events that it printed. Ends the module where there are none."""
        code, out, err = self.run(command, *words)
        events = []
        for line in out.splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                self._unreadable(code, out, err)
        for event in events:
            if event["kind"] == "run-failed":
                text = event["error"]
                for problem in event.get("problems", []):
                    text += "\n{file}:{line}:{column}: {path}: {message}".format(**problem)
                self.fail(text + "\nhint: " + event["hint"], exit_code=code)
        if all(event["kind"] != "run-finished" for event in events):
            self._unreadable(code, out, err)
        return code, events

    def _unreadable(self, code, out, err):
        self.fail(
            (err or out).strip() or "provision ended with %d and said nothing" % code,
            exit_code=code,
        )

    def fail(self, message, **more):
        """Ends the module."""
        self.module.fail_json(msg=message, **more)

    def exit(self, **result):
        """Ends the module, as failed where boards have failed."""
        failed = result.pop("failures", [])
        for text in result.pop("warnings", []):
            self.module.warn(text)
        if failed:
            self.module.fail_json(msg="\n".join(failed), **result)
        self.module.exit_json(**result)


def of_run(events):
    """What a run came to, as a module's result: each device's outcome, and what to tell of it."""
    devices, diffs, failures, warnings, macs = {}, [], [], [], {}
    for event in events:
        kind = event["kind"]
        name = event.get("device")
        if kind == "device-planned":
            entry = devices.setdefault(name, {})
            entry["planned"] = [_label(action) for action in event["plan"]["actions"]]
        elif kind == "action-done":
            devices.setdefault(name, {}).setdefault("done", []).append(_label(event["action"]))
        elif kind == "file-diffed":
            diffs.append(
                {
                    # Which device it is is said in place of "board:", by which ours begin.
                    "prepared": "\n".join(event["lines"]).replace("--- board:", "--- %s:" % name, 1)
                    + "\n",
                    "before_header": "%s:%s" % (name, event["path"]),
                    "after_header": "%s:%s" % (name, event["path"]),
                }
            )
        elif kind == "step-checked":
            devices.setdefault(name, {}).setdefault("checked", []).append(event["result"])
        elif kind == "notice" and event["message"].startswith("warning: "):
            warnings.append(event["message"][len("warning: ") :])
        elif kind == "device-finished":
            entry = devices.setdefault(name, {})
            for key in ("outcome", "changes", "error", "hint", "code", "board_state"):
                entry[key] = event.get(key)
            board = event.get("board") or {}
            entry["mac"], entry["chip"] = board.get("mac"), board.get("chip")
            entry["firmware"] = board.get("firmware")
            if event["outcome"] in FAILED:
                failures.append(_failure(name, event))
        elif kind == "run-finished":
            macs = event.get("macs", {})
    return {
        "devices": devices,
        "diff": diffs,
        "failures": failures,
        "warnings": warnings,
        "macs": macs,
    }


def _failure(name, event):
    text = "%s: %s: %s" % (name, event["outcome"], event.get("error") or event["code"])
    return text + ("; " + event["hint"] if event.get("hint") else "")


def _label(action):
    what = action.get("path") or (action.get("identity") or {}).get("version", "")
    return ("%s %s" % (action["kind"], what)).strip()


def _members(archive):
    with tarfile.open(archive) as tar:
        return [member.name for member in tar if member.isfile()]


def _inside(folder, name):
    """The path of a member; ValueError for one that would lie elsewhere."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "" in parts:
        raise ValueError("%r is no path of a project" % name)
    path = folder
    for part in parts[:-1]:
        path = os.path.join(path, part)
        if os.path.islink(path) or os.path.isfile(path):  # of an older project
            os.unlink(path)
    return os.path.join(folder, *parts)


def _remove_empty(path, root):
    while path != root and path.startswith(root):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)


def _read_json(path):
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_private(path, text):
    beside = path + ".new"
    with open(beside, "w") as file:
        file.write(text)
    os.chmod(beside, 0o600)
    os.replace(beside, path)


class _locked:
    """One task at a time unpacks a project; its folder is made, for its owner alone."""

    def __init__(self, folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
        self.path = os.path.join(folder, STAMP + ".lock")

    def __enter__(self):
        import fcntl

        self.file = open(self.path, "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_what):
        self.file.close()
