"""What every request goes through before a page sees it: the server's own name, who asks, whether a
page of ours asks, and how much; and the headers of every answer.

No page can forget a check of these: a request that arrives there has passed them all. A GET changes
nothing; a POST is a form of ours, read here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from provision.web.access import Access, HostNames, Session

LOG_IN, LOG_OUT = "/login", "/logout"
OPEN_PATHS = ("/healthz", LOG_IN)
OPEN_FOLDER = "/static/"
MOST_FORM = 1 << 20  # bytes: ten thousand devices are selected in less
MOST_FIELDS = 20_000
MOST_PATH = 2048
FORM_SECONDS = 20.0  # for a form to arrive whole

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Not `no-referrer`: with that a browser says `Origin: null` of our own forms, too.
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), serial=(), usb=()"),
)
_STORED = b"no-cache"  # what is vendored and styled may be kept, and is asked for
_NOT_STORED = b"no-store"


class Rejected(Exception):
    """A request that no page gets to see; what the answer says of it."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint


ShowRejected = Callable[[Request, Rejected], Response]


class Doorkeeper:
    """Whom this server lets in, under which names it is found, and the cookie that tells."""

    def __init__(self, access: Access, hosts: HostNames, *, cookie: str, secure: bool) -> None:
        self._access = access
        self._hosts = hosts
        self._cookie = cookie
        self._secure = secure

    def log_in(self, token: str, where: str) -> Response:
        """Go on at a path of ours, with the cookie of whoever has this token."""
        role = self._access.role_of(token.strip())
        if role is None:
            raise Rejected(
                401,
                "that token is not one of this server's",
                "open the link that `provision serve` has printed last: each start has new tokens, "
                "unless it was given a --token-file",
            )
        response = RedirectResponse(where, 303)
        response.set_cookie(
            self._cookie,
            self._access.cookie(role),
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return response

    def log_out(self) -> Response:
        """Forget the cookie."""
        response = RedirectResponse("/", 303)
        response.delete_cookie(self._cookie, httponly=True, samesite="strict", secure=self._secure)
        return response

    def check_place(self, request: Request) -> None:
        """Rejected where the browser came by a name that is not ours."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._hosts.accepts(hosts[0], scheme=request.url.scheme):
            raise Rejected(
                421,
                "this server is not known by that name",
                "use the address that `provision serve` has printed; another name of this computer "
                "is one that it is told with --name",
            )
        if len(request.url.path) > MOST_PATH or len(request.url.query) > MOST_PATH:
            raise Rejected(414, "that address is too long")

    def session(self, headers: Headers) -> Session | None:
        """Who asks, by a token in a header or by the cookie."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._access.bearer(token.strip())
        for text in headers.getlist("cookie"):
            try:
                found = SimpleCookie(text).get(self._cookie)
            except CookieError:
                continue
            if found is not None:
                return self._access.session(found.value)
        return None


class Guard:
    """Implements ASGI around the pages. `show` makes the answer to a request that is rejected;
    `tell_bug` is told of a mistake of this tool, which ends one request and nothing else."""

    def __init__(
        self,
        app: ASGIApp,
        doorkeeper: Doorkeeper,
        *,
        show: ShowRejected,
        tell_bug: Callable[[Exception], None],
    ) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._show = show
        self._tell_bug = tell_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        sender = _with_headers(send, stored=scope["path"].startswith(OPEN_FOLDER))
        state: dict[str, Any] = scope.setdefault("state", {})
        state["session"] = None
        request = Request(scope, receive)
        try:
            answer = await self._let_in(request, state)
        except Rejected as rejected:
            answer = self._show(request, rejected)
        try:
            await (answer or self._app)(scope, receive, sender)
        except Exception as error:  # noqa: BLE001 - the page that says so has been sent
            self._tell_bug(error)

    async def _let_in(self, request: Request, state: dict[str, Any]) -> Response | None:
        """An answer where no page is to give one."""
        self._doorkeeper.check_place(request)
        path: str = request.scope["path"]  # the very one by which a page is found
        if request.method not in ("GET", "HEAD", "POST"):
            raise Rejected(405, f"nothing here answers to {request.method[:20]}")
        session = state["session"] = self._doorkeeper.session(request.headers)
        if request.method == "POST":
            _check_ours(request)
            form = state["form"] = await _form(request)
            if path != LOG_IN:
                _check_may(session, form, path)
            return None
        token = request.query_params.get("token")
        if token is not None:
            return self._doorkeeper.log_in(token, _without_token(request))
        if session is None and not _is_open(path):
            raise Rejected(
                401,
                "you are not logged in",
                "open the link that `provision serve` has printed, or paste the token from it",
            )
        return None


def _check_ours(request: Request) -> None:
    """A form is sent by a page of ours: browsers tell, whatever another page would have them."""
    origin = request.headers.get("origin")
    ours = f"{request.url.scheme}://{request.headers['host']}".lower()
    if origin is not None and origin.lower() != ours:
        raise Rejected(403, "another page wanted this done", "do it on the page itself")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Rejected(403, "another page wanted this done", "do it on the page itself")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Rejected(415, "that is no form of this page")


def session_of(request: Request) -> Session | None:
    """Who asks; None only on a page that is open to everybody."""
    session: Session | None = request.state.session
    return session


def form_of(request: Request) -> FormData:
    """The form of a POST, whose sender was checked."""
    form: FormData = request.state.form
    return form


def require_operate(request: Request) -> None:
    """Rejected for whoever may only look: for a GET of what is not for all eyes."""
    session = session_of(request)
    if session is None or not session.may_operate:
        raise _only_looking()


def _check_may(session: Session | None, form: FormData, path: str) -> None:
    """Whoever sends a form changes something: all but logging out is for those who operate."""
    if session is None:
        raise Rejected(401, "you are not logged in", "open the link with the token again")
    given = form.get("csrf", "")
    known = isinstance(given, str) and hmac.compare_digest(given.encode(), session.csrf.encode())
    if not known:
        raise Rejected(403, "that form is not of this session", "load the page anew, and try again")
    if path != LOG_OUT and not session.may_operate:
        raise _only_looking()


def _only_looking() -> Rejected:
    return Rejected(
        403,
        "you may look, and change nothing",
        "open the link for operating that `provision serve` has printed",
    )


async def _form(request: Request) -> FormData:
    try:
        body = await asyncio.wait_for(_body(request), FORM_SECONDS)
    except asyncio.TimeoutError:
        raise Rejected(408, "the form did not arrive in time") from None
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Rejected(400, "that is no form of this page") from None
    return FormData(list[tuple[str, str | UploadFile]](fields))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_FORM:
            raise Rejected(413, "that form is too large")
    return bytes(body)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _without_token(request: Request) -> str:
    """The same path and query without the token; never another server's."""
    rest = [(name, text) for name, text in request.query_params.multi_items() if name != "token"]
    path = "/" + request.url.path.lstrip("/\\")
    return f"{path}?{urlencode(rest)}" if rest else path


def _with_headers(send: Send, *, stored: bool) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in HEADERS} | {b"cache-control"}
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in own]
            cache = (b"cache-control", _STORED if stored else _NOT_STORED)
            message = {**message, "headers": [*kept, *HEADERS, cache]}
        await send(message)

    return sender
