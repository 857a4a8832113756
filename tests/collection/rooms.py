"""Rooms for tests of the Ansible collection: hosts that are network namespaces, each with the real
sshd, a host name, a state and virtual boards of its own, and a controller in another namespace.

Boards are started from outside, so that they live on when their host is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0  # seconds after which a test gives up
NEEDED = ("ip", "sshd", "ssh", "ssh-keygen", "git", "unshare")
NETWORK = "10.213.7"  # within namespaces of our own alone


def missing() -> str | None:
    """What this machine lacks for rooms, or None."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "needs root on Linux, for network namespaces"
    lacking = [name for name in NEEDED if _tool(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)} (Debian: iproute2, openssh-server, openssh-client)"
    if not (Path(sys.executable).parent / "ansible-playbook").exists():
        return "needs ansible-core"
    probe = f"provision-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True).returncode:
        return "needs network namespaces, which cannot be made here"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(*words: str | Path, **options: Any) -> str:
    ended = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, text=True, **options
    )
    assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def inside(namespace: str) -> list[int]:
    """The processes of a namespace."""
    return [int(pid) for pid in _run("ip", "netns", "pids", namespace).split()]


@dataclass(frozen=True)
class Ended:
    """A run of ansible-playbook that is over; `stats` are its recap by host."""

    code: int
    out: str

    @property
    def stats(self) -> dict[str, dict[str, int]]:
        recap = self.out.partition("PLAY RECAP")[2]
        found = {}
        for line in recap.splitlines():
            name, colon, counts = line.partition(" : ")
            if colon:
                pairs = (pair.split("=") for pair in counts.split())
                found[name.strip()] = {key: int(value) for key, value in pairs}
        return found

    def of(self, count: str) -> dict[str, int]:
        """One count of each host's."""
        return {host: counts[count] for host, counts in self.stats.items()}


@dataclass
class Host:
    """One room: a namespace with an sshd."""

    name: str
    address: str
    namespace: str
    folder: Path
    rooms: Rooms
    sshd: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a login there finds; also of commands that act on its boards from outside."""
        return {
            "PATH": f"{self.rooms.bin}:{os.environ['PATH']}",
            "PROVISION_SIM_HOME": str(self.folder / "boards"),
            "PROVISION_STATE_DIR": str(self.folder / "state"),
            "PROVISION_CACHE_DIR": str(self.folder / "cache"),
            "PROVISION_RUNTIME_DIR": str(self.folder / "run"),
            "HOME": str(self.folder),
            "NO_COLOR": "1",
        }

    def provision(self, *words: str, code: int = 0) -> str:
        """The tool on this host, past Ansible, from outside of its namespace."""
        ended = subprocess.run(
            [str(self.rooms.bin / "provision"), *words],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    def flash(self, board: str) -> bytes:
        return (self.folder / "boards" / board / "flash.bin").read_bytes()

    def start(self) -> None:
        """Its sshd."""
        settings = "".join(f" {key}={value}" for key, value in self.environment.items())
        (self.folder / "sshd_config").write_text(
            textwrap.dedent(
                f"""
                Port 22
                ListenAddress {self.address}
                HostKey {self.folder}/host_key
                AuthorizedKeysFile {self.rooms.folder}/key.pub
                PidFile none
                StrictModes no
                UsePAM no
                PermitRootLogin prohibit-password
                PasswordAuthentication no
                MaxStartups 100
                Subsystem sftp internal-sftp
                SetEnv{settings}
                """
            )
        )
        command = (
            f"hostname {self.name} && exec ip netns exec {self.namespace} "
            f"{_tool('sshd')} -D -e -f {self.folder}/sshd_config"
        )
        with (self.folder / "sshd.log").open("ab") as log:
            self.sshd = subprocess.Popen(
                ["unshare", "--uts", "sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while b"Server listening" not in (self.folder / "sshd.log").read_bytes():
            assert self.sshd.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)  # no event tells that it listens

    def kill(self) -> None:
        """All that runs on it, at once, as a power cut does; its boards are not in it."""
        for process in inside(self.namespace):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.sshd is not None:
            self.sshd.wait()
        (self.folder / "sshd.log").unlink(missing_ok=True)


@dataclass
class Rooms:
    """The controller, its project, and the hosts. To be closed."""

    folder: Path
    hosts: dict[str, Host] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    controller: str = ""

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "PROVISION_STATE_DIR": str(self.folder / "state"),
        }

    def open(self, names: Sequence[str]) -> None:
        """Namespaces, keys, the collection as ansible-galaxy builds and installs it."""
        prefix = f"pv{os.getpid():x}"
        self.bin.mkdir(parents=True)
        self.project.mkdir()
        command = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m provision "$@"\n'
        (self.bin / "provision").write_text(command)
        (self.bin / "provision").chmod(0o755)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "key")
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own, which Debian's service makes
        self._namespace(prefix)
        _run("ip", "-n", prefix, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", prefix, "addr", "add", f"{NETWORK}.1/24", "dev", "br0")
        _run("ip", "-n", prefix, "link", "set", "br0", "up")
        self.controller = prefix
        for number, name in enumerate(names, 10):
            self._add(name, f"{prefix}-{number}", f"{NETWORK}.{number}", number)
        (self.folder / "ansible.cfg").write_text(
            textwrap.dedent(
                f"""
                [defaults]
                host_key_checking = false
                remote_tmp = {self.folder}/remote-tmp
                forks = {len(names)}
                interpreter_python = {sys.executable}
                [ssh_connection]
                pipelining = true
                ssh_args = -F none -i {self.folder}/key -o ControlMaster=auto -o ControlPersist=20s
                    -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
                control_path_dir = /tmp/{prefix}
                """
            )
        )
        galaxy = ["ansible-galaxy", "collection"]
        dist = self.folder / "dist"
        _run(*galaxy, "build", ROOT / "ansible", "--output-path", dist, env=self.environment)
        (built,) = dist.glob("provision-boards-*.tar.gz")
        _run(*galaxy, "install", "--offline", built, env=self.environment)

    def _namespace(self, name: str) -> None:
        _run("ip", "netns", "add", name)
        self.made.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")

    def _add(self, name: str, namespace: str, address: str, number: int) -> None:
        self._namespace(namespace)
        hub = ("ip", "-n", self.controller, "link")
        _run(*hub, "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _run(*hub, "set", f"v{number}", "master", "br0", "up")
        _run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _run("ip", "-n", namespace, "link", "set", "eth0", "up")
        folder = self.folder / name
        folder.mkdir()
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
        host = Host(name, address, namespace, folder, self)
        self.hosts[name] = host
        host.start()

    def write(self, path: str, content: str | bytes) -> Path:
        """A file of the project; texts are dedented."""
        target = self.project / path
        if isinstance(content, str):
            content = textwrap.dedent(content).lstrip("\n").encode()
        target.write_bytes(content)
        return target

    @property
    def lock(self) -> dict[str, str]:
        path = self.project / "fleet.lock"
        if not path.exists():
            return {}
        devices = yaml.safe_load(path.read_text()).get("devices", {})
        return {name: entry["mac"] for name, entry in devices.items()}

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """ansible-playbook on the controller, in its namespace."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.controller, "ansible-playbook", *words],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, *words: str, code: int = 0) -> Ended:
        return self.end(self.begin(*words), code)

    def end(self, running: subprocess.Popen[str], code: int = 0) -> Ended:
        out, _ = running.communicate(timeout=PATIENCE)
        assert running.returncode == code, out
        return Ended(running.returncode, out)

    def close(self) -> None:
        for host in self.hosts.values():
            boards = host.folder / "boards"
            if boards.is_dir():
                host.provision("sim", "rm", *(path.name for path in boards.glob("[!.]*")))
        for name in reversed(self.made):
            for process in inside(name):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            _run("ip", "netns", "del", name)
        for host in self.hosts.values():
            if host.sshd is not None:
                host.sshd.wait()
        if self.controller:
            shutil.rmtree(f"/tmp/{self.controller}", ignore_errors=True)
