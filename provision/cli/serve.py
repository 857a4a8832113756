"""`provision serve`: show the fleet and its runs on a web page.

Whatever the pages need is imported here, and comes with `pip install 'micropython-provision[web]'`.
"""

from __future__ import annotations

import platform
import sys
import traceback
from functools import partial
from pathlib import Path

import click

from provision import api
from provision.atomic_files import lock_path, take_lock
from provision.cli.options import (
    Where,
    host_options,
    manifest_argument,
    offline_option,
    secrets_option,
)
from provision.cli.suggestions import about_the_manifest
from provision.core.install_command import install_extra_command
from provision.errors import Interrupted, UsageError

_file_option = partial(
    click.option, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE"
)


@click.command(name="serve")
@manifest_argument
@host_options
@secrets_option
@offline_option
@click.option(
    "--bind",
    "address",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen. Another address than this computer's own needs --token-file.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="The TCP port; 0 for any that is free.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name by which browsers find this computer.",
)
@_file_option(
    "--token-file",
    help="Tokens that stay the same: lines `operate TOKEN` and `view TOKEN`. Made where there is "
    "none.",
)
@_file_option("--tls-cert", help="Serve HTTPS with this certificate (PEM).")
@_file_option("--tls-key", help="The key of --tls-cert (PEM).")
@click.option(
    "--backups",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("backups"),
    show_default=True,
    metavar="DIR",
    help="The folder that backups go to.",
)
@_file_option("--ledger", help="The ledger of the station, in place of the manifest's.")
@click.option(
    "--allow-hooks",
    is_flag=True,
    help="A station that is started on its page may run the programs that the manifest names.",
)
def command(
    *,
    manifest: str | None,
    secrets: Path | None,
    offline: bool,
    where: Where,
    address: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    backups: Path,
    ledger: Path | None,
    allow_hooks: bool,
) -> int:
    """Show the fleet of MANIFEST (fleet.yaml) and its runs in a browser, and start from there what
    the command line can. Ctrl-C ends it, once what is being written is written.

    It prints two links with tokens: one to operate, one to look. While a job runs, it owns the
    ports, as any other command does.
    """
    try:
        from provision.web import server
        from provision.web.access import Access, HostNames, is_loopback
        from provision.web.access import token_file as read_token_file
        from provision.web.app import create_app
        from provision.web.guard import Doorkeeper
        from provision.web.site import Site
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("provision"):
            raise
        raise UsageError(
            f"the pages need {error.name}, which is not installed",
            hint=f"run `{install_extra_command('web')}`",
        ) from error
    if (tls_cert is None) != (tls_key is None):
        raise UsageError(
            "TLS takes a certificate and its key", hint="give both --tls-cert and --tls-key"
        )
    tls = None
    if tls_cert is not None and tls_key is not None:
        tls = server.Certificate(certificate=tls_cert, key=tls_key)
        tls.check()
    alone = is_loopback(address)
    if not alone and token_file is None:
        raise UsageError(
            f"other computers reach {address}, and would need a token that lasts",
            hint="add `--token-file tokens`: the file is made, and holds a token for each role",
        )
    access = read_token_file(token_file) if token_file is not None else Access.random()
    site = Site(
        lambda: api.load(manifest, secrets=secrets, offline=offline, **where.as_arguments()),
        load_station=lambda: api.open_station(manifest, secrets=secrets, offline=offline),
        ledger=ledger,
        allow_hooks=allow_hooks,
        backups=backups,
        suggest=about_the_manifest(click.get_current_context()),
        tell_bug=_tell_bug,
    )
    path = site.project.path
    lock = take_lock(lock_path("serve", str(path.resolve())), wait=False)
    if lock is None:
        raise UsageError(
            f"another `provision serve` is at work with {path}",
            hint="open the link that it has printed, or end it",
        )
    with lock, server.listen(address, port) as listening:
        port = listening.getsockname()[1]
        scheme = "https" if tls is not None else "http"
        known = [
            _as_host(address),
            *names,
            *_own_names(alone=alone),
        ]
        doorkeeper = Doorkeeper(
            access,
            HostNames(known, port, addresses=not alone),
            cookie=f"provision-{port}",
            secure=tls is not None,
        )
        if not alone and tls is None:
            _say(
                "warning: without TLS whoever is on the way reads the token and what the pages "
                "show; give --tls-cert and --tls-key"
            )
        shown = _shown_host(address, names)
        running = server.PageServer(create_app(site, doorkeeper), site, tls=tls, say=_say)

        def announce() -> None:
            for role, token in access.tokens.items():
                what = "to operate" if role == "operate" else "to look only"
                click.echo(f"{what}: {scheme}://{shown}:{port}/?token={token}")
            _say("Ctrl-C ends it")

        running.serve_pages(listening, announce)
    return Interrupted.exit_code if running.cut else 0


def _own_names(*, alone: bool) -> list[str]:
    """The names of this computer that a browser on it, or near it, may use."""
    if alone:
        return ["localhost", "127.0.0.1", "[::1]"]
    node = platform.node().lower()
    return [node, node.partition(".")[0], f"{node.partition('.')[0]}.local"] if node else []


def _shown_host(address: str, names: tuple[str, ...]) -> str:
    """What the link names: an address that means all of them is none to open."""
    if address in ("0.0.0.0", "::", ""):
        return names[0] if names else platform.node() or "localhost"
    return _as_host(address)


def _as_host(address: str) -> str:
    """An address as a URL has it."""
    return f"[{address}]" if ":" in address else address


def _tell_bug(error: Exception) -> None:
    """As for any command, but that this one goes on."""
    if "--debug" in sys.argv:
        traceback.print_exception(error)
    else:
        _say(f"error: internal: {type(error).__name__}: {error}")
        _say("hint: run again with --debug and report what it prints")


def _say(text: str) -> None:
    click.echo(text, err=True)
