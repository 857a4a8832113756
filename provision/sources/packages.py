"""Packages as `mip` installs them, resolved on this computer.

A request is a name of the micropython-lib index (`umqtt.simple`, `umqtt.simple@1.4.0`), a
repository (`github:org/repo@v1`, `gitlab:`, `codeberg:`) or the URL of a package.json or a single
file. A package lists its files by hash (in the index) or URL, and its dependencies; the result is
a flat list of files below /lib. Only `provision lock` resolves; `PackageStore` returns the locked
files. Where the index has no build for a bytecode version, the source is taken instead.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from provision.core.wording import closest
from provision.errors import SourceError
from provision.lockfile.entries import SOURCE_CODE, LockedFile, LockedPackage, bytecode_name
from provision.model.board_path import TEMPORARY_NAME
from provision.model.language import record
from provision.sources.http_client import DownloadRequest
from provision.sources.http_response import check_url, looks_like_html, public_url

if TYPE_CHECKING:
    from provision.sources.cache import Cache
    from provision.sources.http_client import HttpClient

MAX_FILE = 4 * 1024 * 1024
_MAX_JSON = 1024 * 1024
_MAX_PACKAGES = 200
_MAX_FILES = 2000
_MAX_PATH = 200
_LIBRARY = "github.com/micropython/micropython-lib"

# As mip rewrites them: organisation, repository, reference, path.
HOSTS: Mapping[str, str] = MappingProxyType(
    {
        "github:": "https://raw.githubusercontent.com/{org}/{repo}/{ref}/{path}",
        "gitlab:": "https://gitlab.com/{org}/{repo}/-/raw/{ref}/{path}",
        "codeberg:": "https://codeberg.org/api/v1/repos/{org}/{repo}/raw/{path}?ref={ref}",
    }
)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]*")
_HASH = re.compile(r"[0-9a-f]{8,64}")


def check_path(path: object, package: str) -> str:
    """The path of a package's file below /lib; SourceError for any that leads elsewhere."""
    why = None
    if not isinstance(path, str) or not path:
        why = "is empty"
    elif not path.isprintable():
        why = "holds a control character"
    elif "\\" in path:
        why = "holds a backslash"
    elif path.startswith("/"):
        why = "is absolute"
    elif re.match(r"[A-Za-z]:", path):
        why = "starts with a drive letter"
    elif any(part in ("", ".", "..") for part in path.split("/")):
        why = "has a part that is empty, `.` or `..`"
    elif f"/{TEMPORARY_NAME}" in f"/{path}":
        why = f"begins with {TEMPORARY_NAME}, as the files that this tool is writing"
    elif len(path.encode("utf-8", "replace")) > _MAX_PATH:
        why = "is too long"
    if why is not None or not isinstance(path, str):
        raise SourceError(
            f"the package {package} is refused: the path {path!r} in it {why}",
            hint="files of packages may only go below /lib; report this to its author",
        )
    return path


@record
class PackageRequest:
    """One entry of a manifest's `packages:`, parsed. `version` is "" when none is given."""

    text: str
    target: str
    version: str

    @classmethod
    def parse(cls, text: str) -> PackageRequest:
        """SourceError for what mip would not understand either."""
        target, version = text.strip(), ""
        if "://" in target:
            check_url(target)
        elif "@" in target:
            target, _, version = target.partition("@")
        if version and (_REFERENCE.fullmatch(version) is None or ".." in version):
            raise _not_a_package(text)
        if "://" not in target:
            prefix, colon, rest = target.partition(":")
            known = f"{prefix}:" in HOSTS
            parts = rest.rstrip("/").split("/") if colon else [target]
            enough = len(parts) >= 2 if colon else "/" not in version
            if (colon and not known) or not enough:
                raise _not_a_package(text)
            if any(_NAME.fullmatch(part) is None or ".." in part for part in parts):
                raise _not_a_package(text)
        return cls(text=text.strip(), target=target, version=version)

    @property
    def unpinned(self) -> bool:
        """Whether it names the newest commit of a branch, which its host may change."""
        return any(self.target.startswith(prefix) for prefix in HOSTS) and not self.version


def _not_a_package(text: str) -> SourceError:
    return SourceError(
        f"{text!r} is not a package request",
        hint="write umqtt.simple, umqtt.simple@1.4.0, github:org/repo@v1, gitlab:org/repo/dir, "
        "or the URL of a package.json or .py file",
    )


@record
class PackageFile:
    """One file for /lib: `path` below it."""

    path: str
    url: str
    data: bytes = field(repr=False)


class PackageResolver:
    """Resolves requests to locked files, over the network."""

    def __init__(
        self, http: HttpClient, cache: Cache, *, index: str, hosts: Mapping[str, str] = HOSTS
    ) -> None:
        self._http = http
        self._cache = cache
        self._index = index
        self._hosts = hosts

    def resolve(self, text: str, bytecode: str) -> LockedPackage:
        """A request and its dependencies, for one bytecode version ("6", or "py" for source).

        Every file is downloaded, checked and in the cache afterwards. SourceError when that fails.
        """
        request = PackageRequest.parse(text)
        files: dict[str, LockedFile] = {}
        owners: dict[str, str] = {}
        seen: set[tuple[str, str]] = set()
        wanted_by: dict[PackageRequest, PackageRequest] = {}
        version: str | None = None
        queue = [request]
        with self._http.session():
            while queue:
                current = queue.pop(0)
                if (current.target, current.version) in seen:
                    continue
                seen.add((current.target, current.version))
                if len(seen) > _MAX_PACKAGES:
                    raise SourceError(
                        f"the package {text} depends on more than {_MAX_PACKAGES} packages",
                        hint="report this to its author",
                    )
                with _named(wanted_by.get(current)):
                    content = self._listing(current, bytecode)
                    fetched = [
                        (path, self._fetch(current, path, url, digest, bytecode))
                        for path, url, digest in content.files
                    ]
                if version is None:
                    version = content.version
                for path, file in fetched:
                    if files.setdefault(path, file).sha256 != file.sha256:
                        raise SourceError(
                            f"the packages {owners[path]} and {current.text}, both required by "
                            f"{text}, have different files for /lib/{path}",
                            hint="give one of them a version with which they agree",
                        )
                    owners.setdefault(path, current.text)
                if len(files) > _MAX_FILES:
                    raise SourceError(
                        f"the package {text} has more than {_MAX_FILES} files",
                        hint="report this to its author",
                    )
                for dependency in content.dependencies:
                    wanted_by.setdefault(dependency, current)
                queue += content.dependencies
        return LockedPackage(version=version or "", files=dict(sorted(files.items())))

    def _listing(self, request: PackageRequest, bytecode: str) -> _Listing:
        """The files and dependencies of one package."""
        target = request.target
        remote = "://" in target or self._host(target) is not None
        if not remote:
            return self._from_index(request, bytecode)
        if target.endswith((".py", ".mpy")):
            name = check_path(urlsplit(target).path.rpartition("/")[2], request.text)
            return _Listing(
                version="",
                files=((name, self._address(target, request.version), ""),),
                dependencies=(),
            )
        if not target.endswith(".json"):
            target = f"{target.rstrip('/')}/package.json"
        data = self._http.fetch(self._address(target, request.version), limit=_MAX_JSON)
        if data is None:
            raise SourceError(
                f"there is no package {request.text}: nothing at "
                f"{public_url(self._address(target, request.version))}",
                hint="check its name and version; a repository must have a package.json",
            )
        base = target.rpartition("/")[0]
        return self._parse(request, data, base)

    def _from_index(self, request: PackageRequest, bytecode: str) -> _Listing:
        version = request.version or "latest"
        for part in dict.fromkeys((bytecode, SOURCE_CODE)):
            url = f"{self._index}/package/{part}/{quote(request.target)}/{quote(version)}.json"
            data = self._http.fetch(url, limit=_MAX_JSON)
            if data is not None:
                return self._parse(request, data, "")
        raise SourceError(
            f"the package index has no {request.text}", hint=self._suggestion(request, bytecode)
        )

    def _suggestion(self, request: PackageRequest, bytecode: str) -> str:
        """What the index has instead, for a hint; failures are ignored."""
        try:
            data = self._http.fetch(f"{self._index}/index.json", limit=16 * _MAX_JSON)
            packages = json.loads(data or b"{}")["packages"]
            names = {package["name"]: package.get("versions", {}) for package in packages}
        except (SourceError, ValueError, KeyError, TypeError):
            return f"check its name and version at {_LIBRARY}"
        if request.target in names:
            versions = (
                names[request.target].get(bytecode) or names[request.target].get(SOURCE_CODE) or []
            )
            return f"available versions: {', '.join(map(str, versions))}"
        close = closest(request.target, names, 3)
        return f"did you mean {', '.join(close)}?" if close else f"check its name at {_LIBRARY}"

    def _parse(self, request: PackageRequest, data: bytes, base: str) -> _Listing:
        what = f"the package {request.text}"
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            found = "a web page" if looks_like_html(data) else "something that is not JSON"
            raise SourceError(
                f"{what} is refused: instead of its package.json the server sent {found}",
                hint="check the URL in a browser; a network that wants a login answers with a page",
            ) from None
        if not isinstance(content, dict):
            raise _refused(request, "its package.json is not a JSON object")
        files: list[tuple[str, str, str]] = []
        for path, digest in _pairs(request, content, "hashes"):
            if not isinstance(digest, str) or _HASH.fullmatch(digest) is None:
                raise _refused(request, f"{digest!r} is not the hash of a file")
            by_hash = f"{self._index}/file/{digest[:2]}/{digest}"
            files.append((check_path(path, request.text), by_hash, digest))
        for path, url in _pairs(request, content, "urls"):
            if not isinstance(url, str) or not url or ".." in url.split("/") or "\\" in url:
                raise _refused(request, f"{url!r} is not the URL of a file")
            relative = "://" not in url and self._host(url) is None
            address = self._address(f"{base}/{url}" if relative else url, request.version)
            check_url(address)
            files.append((check_path(path, request.text), address, ""))
        dependencies = []
        for name, version in _pairs(request, content, "deps"):
            suffix = f"@{version}" if version and version != "latest" else ""
            with _named(request):
                dependencies.append(PackageRequest.parse(f"{name}{suffix}"))
        return _Listing(
            version=str(content.get("version", "")),
            files=tuple(files),
            dependencies=tuple(dependencies),
        )

    def _fetch(
        self, request: PackageRequest, path: str, url: str, digest: str, bytecode: str
    ) -> LockedFile:
        def check(data: bytes) -> None:
            found = hashlib.sha256(data).hexdigest()
            if not found.startswith(digest):
                raise _refused(
                    request, f"{public_url(url)} has the sha256 {found}, not {digest}… as listed"
                )
            _check_content(request, path, data, bytecode)

        download = DownloadRequest(
            url=url, name=f"{request.text}: {path}", limit=MAX_FILE, check=check
        )
        data = self._http.download(download, self._cache)
        return LockedFile(url=url, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def _host(self, target: str) -> str | None:
        return next((prefix for prefix in self._hosts if target.startswith(prefix)), None)

    def _address(self, target: str, version: str) -> str:
        """The https URL of what may be named `github:org/repo/path`."""
        prefix = self._host(target)
        if prefix is None:
            return target
        org, _, rest = target.removeprefix(prefix).partition("/")
        repo, *path = rest.split("/")
        if not org or not repo:
            raise SourceError(
                f"{target!r} does not name a repository",
                hint=f"write {prefix}organisation/repository",
            )
        return self._hosts[prefix].format(
            org=quote(org),
            repo=quote(repo),
            ref=quote(version or "HEAD"),
            path="/".join(quote(part) for part in path),
        )


@record
class _Listing:
    """One package.json: files as (path, URL, digest or "") and dependencies."""

    version: str
    files: tuple[tuple[str, str, str], ...]
    dependencies: tuple[PackageRequest, ...]


class PackageStore:
    """The files of the packages that fleet.lock holds."""

    def __init__(
        self, http: HttpClient, cache: Cache, locked: Mapping[tuple[str, str], LockedPackage]
    ) -> None:
        self._http = http
        self._cache = cache
        self._locked = locked

    def files(self, request: str, bytecode: str) -> Iterator[PackageFile]:
        """The files of a request for one bytecode version; SourceError when fleet.lock has none."""
        package = self._locked.get((request, bytecode))
        if package is None:
            raise SourceError(
                f"the package {request} has no entry for {bytecode_name(bytecode)} in fleet.lock",
                hint="run `provision lock` once, with a network, and commit fleet.lock",
            )
        with self._http.session():
            for path, file in package.files.items():
                data = self._http.download(package_file_request(request, path, file), self._cache)
                # Anybody may have edited the lock.
                yield PackageFile(path=check_path(path, request), url=file.url, data=data)


@contextmanager
def _named(parent: PackageRequest | None) -> Iterator[None]:
    """Errors about a package say which one wants it, if one does: the manifest does not name it."""
    try:
        yield
    except SourceError as error:
        if parent is not None:
            error.message += f" ({parent.text} depends on it)"
            error.args = (error.message,)
        raise


def package_file_request(request: str, path: str, file: LockedFile) -> DownloadRequest:
    """The request for a locked file of a package."""
    return DownloadRequest(
        url=file.url,
        name=f"{request}: {path}",
        limit=MAX_FILE,
        sha256=file.sha256,
        size=file.size,
    )


def _pairs(
    request: PackageRequest, content: Mapping[str, object], key: str
) -> Iterator[tuple[object, object]]:
    entries = content.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        raise _refused(request, f"its {key!r} is not a list")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2:
            raise _refused(request, f"its {key!r} holds {entry!r}, which is not a pair")
        yield entry[0], entry[1]


def _refused(request: PackageRequest, why: str) -> SourceError:
    return SourceError(
        f"the package {request.text} is refused: {why}", hint="report this to its author"
    )


def _check_content(request: PackageRequest, path: str, data: bytes, bytecode: str) -> None:
    """SourceError for a web page instead of source, and for bytecode of another version: better
    found here than by an import on a board."""
    if path.endswith((".py", ".mpy")) and looks_like_html(data):
        raise _refused(request, f"the server sent a web page for {path}")
    if not path.endswith(".mpy"):
        return
    if data[:1] != b"M" or len(data) < 4:
        raise _refused(request, f"{path} is not MicroPython bytecode")
    if bytecode == SOURCE_CODE or data[1] != int(bytecode):
        board = (
            "of unknown version" if bytecode == SOURCE_CODE else f"that imports version {bytecode}"
        )
        raise SourceError(
            f"{path} of the package {request.text} is bytecode version {data[1]}, "
            f"for a MicroPython {board}",
            hint="use a firmware that imports that version, or the source of the package",
        )
