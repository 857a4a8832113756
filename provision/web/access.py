"""Who may look at the pages, and who may start something: tokens, the cookies made of them, and the
names that this server answers to.

Nothing is kept of who has logged in: a cookie is a random number that is signed with its token, so
that it ends with the token and no login takes memory. What a form must bring along (`csrf`) is
signed in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

from provision.atomic_files import read_plain_file
from provision.errors import UsageError
from provision.model.language import record

Role = Literal["operate", "view"]
ROLES: tuple[Role, ...] = get_args(Role)

LEAST_TOKEN = 20  # characters: a random token of that length cannot be guessed
_MOST_FILE = 4096
_TOKEN = re.compile(r"[\w~.-]+", re.ASCII)


@record
class Session:
    """Somebody who is logged in. `csrf` must be in each form that this session sends."""

    role: Role
    csrf: str

    @property
    def may_operate(self) -> bool:
        return self.role == "operate"


class Access:
    """The tokens of one server, by role."""

    def __init__(self, tokens: Mapping[Role, str]) -> None:
        self.tokens = dict(tokens)

    @classmethod
    def random(cls) -> Access:
        """Tokens that nobody knows yet."""
        return cls({role: secrets.token_urlsafe(24) for role in ROLES})

    def role_of(self, token: str) -> Role | None:
        """Whose token this is; every one of them is compared in constant time."""
        found: Role | None = None
        for role, known in self.tokens.items():
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "replace")):
                found = role
        return found

    def cookie(self, role: Role) -> str:
        """A new session of this role, as its cookie has it."""
        number = secrets.token_urlsafe(16)
        return f"{role}.{number}.{self._signed(role, 'session', number)}"

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie; None for one that no token of this server has made."""
        role, _, rest = cookie.partition(".")
        number, _, signature = rest.partition(".")
        for known in ROLES:
            if role == known and known in self.tokens:
                expected = self._signed(known, "session", number)
                if hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
                    return Session(role=known, csrf=self._signed(known, "csrf", number))
        return None

    def bearer(self, token: str) -> Session | None:
        """The session of a program that sends its token in a header of each request, which no page
        of somebody else's can have a browser do: its forms prove nothing more."""
        role = self.role_of(token)
        return Session(role=role, csrf="") if role is not None else None

    def _signed(self, role: Role, what: str, number: str) -> str:
        key = self.tokens[role].encode()
        return hmac.new(key, f"{what}\0{role}\0{number}".encode(), hashlib.sha256).hexdigest()


def token_file(path: Path) -> Access:
    """The tokens of a file with a line for each role, as in `operate TOKEN`; one that is not there
    is written, with new tokens, for its owner alone. UsageError for what cannot be used."""
    try:
        text = read_plain_file(path, most=_MOST_FILE, root=None).decode()
    except FileNotFoundError:
        access = Access.random()
        _write_tokens(path, access.tokens)
        return access
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _unusable(path, str(why)) from error
    if sys.platform != "win32" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(
            f"the token file {path} can be read by other users",
            hint=f"run `chmod 600 {path}`, or delete the file: it is made anew, with new tokens",
        )
    return Access(_tokens(path, text.splitlines()))


def _tokens(path: Path, lines: Iterable[str]) -> Mapping[Role, str]:
    found: dict[Role, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        role = next((role for role in ROLES if role == words[0]), None)
        if role is None or len(words) != 2 or role in found:
            raise _unusable(path, f"line {number} is no `operate TOKEN` or `view TOKEN`")
        if len(words[1]) < LEAST_TOKEN or not _TOKEN.fullmatch(words[1]):
            raise _unusable(
                path, f"the token of line {number} is not {LEAST_TOKEN} letters, digits, - _ . or ~"
            )
        found[role] = words[1]
    if "operate" not in found:
        raise _unusable(path, "it has no line `operate TOKEN`")
    if len(set(found.values())) < len(found):
        raise _unusable(path, "both roles have the same token")
    return found


def _write_tokens(path: Path, tokens: Mapping[Role, str]) -> None:
    text = "".join(f"{role} {token}\n" for role, token in tokens.items())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the token file {path} cannot be used: {why}",
        hint="name a file that is not there yet: it is made, with new tokens",
    )


class HostNames:
    """The names by which a browser may have found this server. A page of somebody else's whose name
    was made to lead here (DNS rebinding) sends its own name, and is refused."""

    def __init__(self, names: Iterable[str], port: int, *, addresses: bool) -> None:
        """`addresses`: any address written in digits will do as well, since no name server can
        answer for one."""
        self._names = frozenset(name.lower() for name in names)
        self._port = port
        self._addresses = addresses

    def accepts(self, host: str, *, scheme: str) -> bool:
        """Whether a Host header names this server."""
        name, port = _split(host)
        standard = {"http": 80, "https": 443}.get(scheme)
        if port is None:
            port = standard
        if port != self._port:
            return False
        return name in self._names or (self._addresses and _is_address(name))


def is_loopback(host: str) -> bool:
    """Whether nobody but this computer reaches that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(host: str) -> tuple[str, int | None]:
    """`[::1]:80`, `name:80`, `name`: the name in lower case, and the port."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]/@?#\\\s]+)(?::(\d{1,5}))?", host.lower())
    if match is None:
        return "", -1
    return match[1], int(match[2]) if match[2] else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
