"""A manifest on disk to desired states: the one way in for every command.

`load` reads the manifest and what it needs from the disk and raises one ManifestError with every
problem that there is; `Loaded.states` are the resolved devices that `--limit` selects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from provision.boards import profile_from_table, profiles
from provision.boards.releases import release_profile
from provision.core.hosts import devices_of, is_at
from provision.core.manifest.device_filter import Failed, select_devices
from provision.core.manifest.manifest_builder import UrlCheck, any_url, build
from provision.core.manifest.model import Manifest
from provision.core.manifest.redact import Redactor
from provision.core.manifest.resolve import source_filter
from provision.core.manifest.resolve.given_variables import with_variables
from provision.core.manifest.resolve.packages import Library
from provision.core.manifest.resolve.resolver import BytecodeCheck, ImageCheck, Resolver
from provision.core.manifest.resolve.units import (
    VARIABLES,
    UnitValues,
    bare_manifest,
    sample_values,
    unit_manifest,
)
from provision.core.manifest.resolve.variables import secret_names, unrendered_variables
from provision.core.manifest.station.table import read_rows
from provision.core.manifest.yaml_parser import NotText
from provision.core.manifest.yaml_tree import Node
from provision.errors import ManifestError, Problem
from provision.model.language import record
from provision.model.secret import PLACEHOLDER
from provision.model.state import Content, DesiredState, PortSelector
from provision.model.station import TableSettings
from provision.project.parts.included import ManifestText, read_parts
from provision.project.parts.main_file import (
    STDIN_FILE,
    lock_of,
    manifest_bytes,
    own_files,
    read_manifest,
)
from provision.project.schema_passes import SchemaPasses
from provision.project.secrets_files import FILE_NAME as SECRETS_NAME
from provision.project.secrets_files import read_secrets
from provision.project.source_folder import SourceFolder
from provision.project.user.known_secrets import FilledEnvironment, KnownSecrets, Lookup
from provision.project.user.secrets_command import SecretsCommand


@record(slots=False)
class Loaded:
    """A valid manifest. `file` is its name for messages, `folder` what its paths are relative
    to, `warnings` what the user should know, `redactor` masks every secret it knows of."""

    manifest: Manifest
    file: str
    folder: Path
    warnings: tuple[str, ...]
    redactor: Redactor
    _data: bytes
    _text: ManifestText
    _sources: SourceFolder
    _secrets: KnownSecrets
    _environment: Mapping[str, str]
    _secrets_file: Path | None = None  # named by the user
    _library: Library | None = None
    _check_image: ImageCheck | None = None
    _check_bytecode: BytecodeCheck | None = None
    _check_url: UrlCheck = any_url
    _failed: Callable[[Path], Failed] | None = None

    def with_library(self, library: Library) -> Loaded:
        """The same manifest, its packages and bytecode supplied by a library. Without one,
        packages have no files and source that is to be compiled stays source."""
        return replace(self, _library=library)

    def with_image_check(self, check: ImageCheck) -> Loaded:
        """The same manifest, the image files of its devices looked into as well."""
        return replace(self, _check_image=check)

    def with_bytecode_check(self, check: BytecodeCheck) -> Loaded:
        """The same manifest, its `.mpy` files looked into as well."""
        return replace(self, _check_bytecode=check)

    def names(self, limits: Sequence[str] = (), host: str | None = None) -> tuple[str, ...]:
        """The devices that `--limit` selects, in the manifest's order, with a `host` those of them
        that hang on it; UsageError for none."""
        failed = self._failed(self.path) if self._failed is not None else None
        names = select_devices(self.manifest, limits, failed=failed)
        return names if host is None else devices_of(host, self.hosts(), names)

    def states(
        self, limits: Sequence[str] = (), host: str | None = None
    ) -> tuple[DesiredState, ...]:
        """The desired states of these devices; ManifestError with every problem they have."""
        return tuple(self.each_state(limits, host))

    def each_state(
        self, limits: Sequence[str] = (), host: str | None = None
    ) -> Iterator[DesiredState]:
        """As `states`, one after another; the error comes after the last."""
        names = self.names(limits, host)
        self._secrets.fetch(self.secret_names(names))
        resolver = self._resolver()
        yield from resolver.states(names)
        if len(names) == len(self.manifest.devices):
            resolver.check_firmware_files()
        self._fail(resolver.problems())

    def required_states(self) -> Iterator[DesiredState]:
        """As `each_state`, and a unit of the station as it might be: whatever needs firmware and
        packages."""
        yield from self.each_state()
        yield from self.sample_unit()

    def sample_unit(self) -> tuple[DesiredState, ...]:
        """A unit of the station as it might be, none where there is no station; ManifestError with
        every problem. Those of its files that only a real unit has are left out."""
        station = self.manifest.station
        if station is None:
            return ()
        serial = station.settings.serial
        columns: Mapping[str, str] = {}
        if isinstance(serial, TableSettings):
            number, columns = next(iter(self.station_table().items()))
        else:
            number = serial.format.format(serial.start)
        _, state = self.unit(sample_values(number, columns), bare=True)
        return (state,)

    def station_table(self) -> Mapping[str, Mapping[str, str]]:
        """The rows of the station's table by their numbers, empty for a counter; ManifestError."""
        station = self.manifest.station
        if station is None or not isinstance(station.settings.serial, TableSettings):
            return {}
        serial = station.settings.serial
        try:
            text = self._sources.read(serial.file).data.decode()
            return read_rows(text, serial.key, built_in=VARIABLES)
        except FileNotFoundError:
            why = "no such file"
        except UnicodeDecodeError:
            why = "it is not UTF-8; save it as CSV in UTF-8"
        except OSError as error:
            why = error.strerror or str(error)
        except ValueError as error:
            why = str(error)
        raise self._problem(station.node, "station.serial.csv", f"{serial.file}: {why}")

    def unit(self, values: UnitValues, *, bare: bool = False) -> tuple[Loaded, DesiredState]:
        """The manifest with this unit of its station among the devices, and the unit resolved, its
        sources read anew; ManifestError with every problem. `bare`: see `bare_manifest`."""
        station = self.manifest.station
        assert station is not None
        try:
            make = bare_manifest if bare else unit_manifest
            manifest, name = make(self.manifest, values)
        except ValueError as error:
            raise self._problem(station.name, "station.name", str(error)) from None
        made = self._with_manifest(manifest)
        (state,) = made.states([name])
        return made, state

    def hosts(self) -> Mapping[str, str | None]:
        """The host of each device, None for one that names none; ManifestError where it cannot be
        told."""
        resolver = self._resolver()
        found = resolver.hosts()
        self._fail(resolver.problems())
        return found

    def ports(
        self, *, leaving_out: Collection[str] = (), host: str | None = None
    ) -> tuple[PortSelector, ...]:
        """The ports of the other devices, but for those of other computers than `host`. Nothing
        else of them is resolved, and a port that cannot be, by a mistake in its template, is left
        out."""
        left_out = frozenset(leaving_out)
        resolver = self._resolver()
        hosts = resolver.hosts() if host is not None else {}
        names = [
            name
            for name in self.manifest.devices
            if name not in left_out and is_at(hosts.get(name), host)
        ]
        return tuple(resolver.ports(names))

    @property
    def data(self) -> bytes:
        """The manifest's file as it was read."""
        return self._data

    def file_of(self, device: str) -> tuple[Path, bytes]:
        """The file that says a device, the manifest or an included one, and what is in it."""
        part = self._text.document.part(self.manifest.devices[device].key)
        if part is self._text.document:
            return Path(self.file), self._data
        return Path(part.file), self._text.contents[part.path].data

    @property
    def sources(self) -> Mapping[str, Content]:
        """The files that were read for the states that were asked for, by their paths in it; those
        that the manifest is made of among them."""
        return {**self._text.contents, **self._sources.contents}

    def holds_secret(self, data: bytes) -> bool:
        """Whether one of the secrets is in a file as it is."""
        return self._secrets.are_in(data)

    def not_looked_up(self, limits: Sequence[str] = ()) -> tuple[str, ...]:
        """The secrets of these devices for which there are placeholders."""
        return self._secrets.not_looked_up(self.secret_names(self.names(limits)))

    def secret_names(self, devices: Iterable[str]) -> Iterator[str]:
        """What `!secret` asks for in anything that these devices are made of."""
        return secret_names(self.manifest, (self.manifest.devices[name] for name in devices))

    @property
    def path(self) -> Path:
        """The manifest itself, absolute and links followed: which one it is, however named."""
        return (self.folder / Path(self.file).name).resolve()

    def declared_macs(self) -> Mapping[str, str]:
        """The MAC of each device that declares one, by `mac:` or by a port that is found by it."""
        return self._resolver().declared_macs()

    @property
    def lock_path(self) -> Path:
        """The lock beside the manifest: fleet.lock for fleet.yaml, school.lock for school.yaml."""
        return lock_of(self.file, self.folder)

    @property
    def looked_at(self) -> tuple[frozenset[Path], frozenset[Path]]:
        """The files that this manifest and the states that were asked for hang on, whether they
        are there or not, and the folders that were looked through for more."""
        files, folders = self._sources.looked_at
        own = {self.lock_path, self.folder / SECRETS_NAME, self.folder / source_filter.IGNORE_FILE}
        own |= {self.folder / image for image in self.manifest.image_files}
        own |= self._text.looked_for
        own |= {path for path in (self._secrets_file,) if path is not None}
        if self.file != STDIN_FILE:
            own.add(Path(self.file))
        return files | own, folders

    def changed(self) -> bool:
        """Whether the manifest, or a file that it is made of, is no longer what was read."""
        if self.file == STDIN_FILE:
            return False
        try:
            return manifest_bytes(Path(self.file)) != self._data or self._text.changed()
        except OSError:
            return True

    def _with_manifest(self, manifest: Manifest) -> Loaded:
        return replace(self, manifest=manifest, _sources=self._sources.anew())

    def _problem(self, node: Node, path: str, message: str) -> ManifestError:
        """A mistake of the manifest that shows only now."""
        return ManifestError(
            [self.redactor.problem(self._text.document.problem(node, path, message))]
        )

    def _resolver(self) -> Resolver:
        return Resolver(
            self.manifest,
            self._text.document,
            sources=self._sources,
            secrets=self._secrets.values(self.secret_names(self.manifest.devices)),
            environment=self._environment,
            no_secrets=self._secrets.unknown_note,
            secret_faults=self._secrets.faults,
            library=self._library,
            check_image=self._check_image,
            check_bytecode=self._check_bytecode,
            check_url=self._check_url,
        )

    def _fail(self, problems: Sequence[Problem]) -> None:
        if problems:
            raise ManifestError([self.redactor.problem(each) for each in problems])


_OF_AN_EMPTY_ONE = (
    "write your boards into it, or remove it: `provision init` then writes one of the boards that "
    "are plugged in"
)


def load(
    manifest: str | None = None,
    *,
    secrets: Path | None = None,
    environment: Mapping[str, str] | None = None,
    check_url: UrlCheck = any_url,
    passes: SchemaPasses | None = None,
    failed: Callable[[Path], Failed] | None = None,
    secrets_command: SecretsCommand | None = None,
    lookup: Lookup = Lookup.NOW,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Loaded:
    """Read a manifest: a path, a folder that holds a `fleet.yaml`, "-" for standard input, or
    None for `fleet.yaml` in the working directory.

    UsageError when there is no such file, ManifestError with every problem when it is invalid:
    those of the manifest itself and of all its devices. `check_url` judges the URLs of ports;
    `passes` knows the manifests that need not be judged by the schema again; `failed` finds the
    devices that failed in the last apply of a manifest, by its absolute path. `secrets_command`
    knows the secrets that no file has; `lookup` says whether it is asked, and where it is not there
    are placeholders. `variables` go before those of the manifest.
    """
    environment = os.environ if environment is None else environment
    file, folder, data = read_manifest(manifest)
    passes = passes or SchemaPasses(None)
    try:
        text = read_parts(file, folder, data, passes=passes, secrets=secrets)
    except NotText as error:
        raise ManifestError([error.problem]) from None
    problems = text.problems
    hidden = {environment.get(name, "") for name in text.environment}
    if lookup is Lookup.NEVER:
        environment = FilledEnvironment(environment)
    known = read_secrets(folder, secrets, environment)
    problems += known.problems
    hidden |= {secret.reveal() for secret in known.values.values()} - {PLACEHOLDER}
    secrets_known = KnownSecrets(known, hidden, folder, secrets_command, lookup)
    redactor = secrets_known.redactor
    if text.tree is None:
        empty = [each.message for each in problems] == [f"{file} is empty"]
        raise ManifestError(
            [redactor.problem(each) for each in problems], hint=_OF_AN_EMPTY_ONE if empty else None
        )
    built, mistakes = build(
        text.tree,
        text.document,
        unusable=text.unusable,
        profiles=profiles(),
        make_board=profile_from_table,
        find_board=release_profile,
        check_url=check_url,
        tables=text.tables,
    )
    problems += mistakes
    built, told, strange = with_variables(built, variables)
    secrets_known.add(told)
    loaded = Loaded(
        manifest=built,
        file=file,
        folder=folder,
        warnings=(*known.warnings, *strange, *unrendered_variables(built, text.document)),
        redactor=redactor,
        _data=data,
        _text=text,
        _sources=SourceFolder(
            folder, own=dict(own_files(file, folder, secrets, built.image_files, text.contents))
        ),
        _secrets=secrets_known,
        _environment=environment,
        _secrets_file=secrets,
        _check_url=check_url,
        _failed=failed,
    )
    if problems:
        # The rest is looked at too, so that one run tells everything.
        resolver = loaded._resolver()
        for _ in resolver.states(built.devices):
            pass
        resolver.check_firmware_files()
        loaded._fail([*problems, *resolver.problems()])
    return loaded
