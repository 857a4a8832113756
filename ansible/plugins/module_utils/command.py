# Copyright: the provision authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the host's own `provision` command and reads the JSON that it prints, on the host."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tarfile
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule

CHANGES_PENDING = 6  # exit code of `--detailed-exitcode`
FAILED = ("failed", "rolled-back", "refused", "unreachable", "interrupted")
PLACES = ("~/.local/bin", "/opt/provision/bin", "/usr/local/bin")
STAMP = ".provision-project"
LEARNED = ".provision-learned.lock"

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
BY_MAC = {"match_by_mac": {"type": "bool", "default": False}}


class Fleet:
    """The boards of this host, as a module was asked for them."""

    def __init__(self, **options):
        """`options` are the module's own, beside those that all have."""
        self.module = AnsibleModule(
            argument_spec={**OPTIONS, **options},
            mutually_exclusive=[("project", "manifest"), ("secrets", "secrets_file")],
            supports_check_mode=True,
        )
        self.parameters = self.module.params

    def project(self):
        """Unpacks what the action plugin brought, and ends the module where it has to bring it."""
        digest = self.parameters["_digest"]
        if digest is None:
            if not self.parameters["manifest"]:
                self.module.fail_json(
                    msg="which boards? name the manifest on the controller by project, or one on "
                    "this host by manifest"
                )
            return
        folder = self.parameters["project_dest"]
        name = self.parameters["_name"]
        self.parameters["manifest"] = os.path.join(folder, name)
        if _read_stamp(folder)[0] == digest:
            return
        archive = self.parameters["_archive"]
        if archive is None:
            self.module.exit_json(changed=False, project_needed=True)
        with _locked(folder):
            learned = put_aside(os.path.join(folder, os.path.splitext(name)[0] + ".lock"))
            with unpacked(archive, folder, digest):
                self._merge(learned)

    def _merge(self, learned):
        if not os.path.isfile(learned):
            return
        command = [self.executable(), "lock", self.parameters["manifest"], "--merge", learned]
        code, _out, err = self.module.run_command(command)
        if code != 0:
            self.module.warn("not all boards that this host has learned are kept: " + err.strip())
        os.unlink(learned)

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
                self.unreadable(code, out, err)
        for event in events:
            if event["kind"] == "run-failed":
                text = event["error"]
                for problem in event.get("problems", []):
                    text += "\n{file}:{line}:{column}: {path}: {message}".format(**problem)
                self.fail(text + "\nhint: " + event["hint"], exit_code=code)
        if all(event["kind"] != "run-finished" for event in events):
            self.unreadable(code, out, err)
        return code, events

    def unreadable(self, code, out, err):
        """Ends the module where the command has printed what it must not."""
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


def put_aside(lock):
    """The path of what this host has learned, which the lock that comes is merged with."""
    learned = os.path.join(os.path.dirname(lock), LEARNED)
    if os.path.isfile(lock) and not os.path.isfile(learned):  # else an earlier task was cut off
        shutil.copyfile(lock, learned + ".new")
        os.replace(learned + ".new", learned)
    return learned


@contextmanager
def unpacked(archive, folder, digest):
    """Makes a folder what an archive has, and stamps it so once what is done in this block has been
    done too. Until then it is no project that anybody knows: whoever is cut off half-way leaves
    what the next one replaces, and removes."""
    names = _members(archive)
    before = _read_stamp(folder)[1]
    _write_stamp(folder, None, sorted({*before, *names}))
    for name in set(before).difference(names):
        gone = _inside(folder, name)
        if os.path.isfile(gone) or os.path.islink(gone):
            os.unlink(gone)
        _remove_empty(os.path.dirname(gone), folder)
    with tarfile.open(archive) as tar:
        for member in tar:
            target = _inside(folder, member.name)
            if not member.isfile():
                continue
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target)
            beside = target + ".new"
            with tar.extractfile(member) as source, open(beside, "wb") as copy:
                shutil.copyfileobj(source, copy)
            os.chmod(beside, 0o700 if member.mode & 0o100 else 0o600)
            os.replace(beside, target)
    yield
    _write_stamp(folder, digest, sorted(names))


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


def _read_stamp(folder):
    """The digest of the project in a folder, None of one that is not whole, and its files."""
    try:
        with open(os.path.join(folder, STAMP)) as file:
            found = json.load(file)
        return found["digest"], found["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, []


def _write_stamp(folder, digest, files):
    path = os.path.join(folder, STAMP)
    with open(path + ".new", "w") as file:
        json.dump({"digest": digest, "files": files}, file)
    os.chmod(path + ".new", 0o600)
    os.replace(path + ".new", path)


@contextmanager
def _locked(folder):
    """One task at a time unpacks a project; its folder is made, for its owner alone."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
    with open(os.path.join(folder, STAMP + ".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
