"""The server under the pages: its socket, its limits, and how it ends.

At the first signal no job is begun any more, the one that runs finishes what it is writing, and
pages are shown until it has; at the second the process ends at once, and the next `apply` converges
what it has left.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from provision.errors import Interrupted, UsageError
from provision.model.language import record
from provision.web.live import MOST_STREAMS
from provision.web.site import Site

MOST_CONNECTIONS = MOST_STREAMS + 200
BACKLOG = 256
CLOSING_SECONDS = 5  # for answers that are under way when the server ends


@record
class Certificate:
    """What TLS needs: two files in PEM, the certificate with those between it and its CA."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """UsageError when it cannot be used."""
        try:
            # A pass phrase would be asked for at the terminal, and nobody may be there.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                self.certificate, self.key, password=""
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(
                f"no TLS with {self.certificate} and {self.key}: {why}",
                hint="give a certificate and its key, both in PEM and the key without a pass "
                "phrase, with --tls-cert and --tls-key",
            ) from error


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, 0 for any free port; UsageError where that cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen at {host}, port {port}: {why}",
            hint="name another port with --port (0 for any that is free), or an address of this "
            "computer with --bind",
        ) from error


class PageServer(uvicorn.Server):
    """Serves a site until a signal ends it."""

    def __init__(
        self,
        app: ASGIApp,
        site: Site,
        *,
        tls: Certificate | None,
        say: Callable[[str], None],
    ) -> None:
        # What it has to say of connections is nothing that anybody can act on.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        logging.getLogger("uvicorn").propagate = False
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                limit_concurrency=MOST_CONNECTIONS,
                backlog=BACKLOG,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=CLOSING_SECONDS,
                h11_max_incomplete_event_size=32 * 1024,
                ssl_certfile=tls.certificate if tls is not None else None,
                ssl_keyfile=tls.key if tls is not None else None,
            )
        )
        self._site = site
        self._say = say
        self._stopping = False
        self.cut = False  # whether a job was running when the signal came

    def serve_pages(self, listening: socket.socket, announce: Callable[[], None]) -> None:
        """Serve until a signal has come and the last job has ended. `announce` says that it does:
        from then on a signal may come, and `run` heeds one only when its loop goes."""
        with self.capture_signals():
            self._site.queue.start()
            announce()
            self.run(sockets=[listening])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {}
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, self._stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(Interrupted.exit_code)
        self._stopping = True
        self.cut = self._site.queue.running is not None
        # Not here: a signal may come while this very thread holds the queue's lock.
        threading.Thread(target=self._end, name="provision-stop", daemon=True).start()

    def _end(self) -> None:
        if self.cut:
            self._say("stopping: finishing writes in progress; press Ctrl-C again to abort")
        self._site.close()
        self._site.queue.join()
        self._site.close_streams()
        self.should_exit = True
