"""The requests to one Swift account, each within its call's deadline, with a token that is renewed.

Nothing is repeated but a request that was refused for an old token, which was not acted upon. Every
request leaves as an answer or as a driver error, and no error repeats a token, a key or an address
beyond ``auth_url``.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import (
    Denied,
    DriverError,
    Invalid,
    Unauthenticated,
    Unavailable,
    Unknown,
)
from holdfast.data.tls import handshake_refusal, trusting
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.config import SwiftConfig, check_config
from holdfast_drivers.swift.errors import refusal

_CONNECT_S: Final = 5.0
_CONNECTIONS: Final = 16
_READS: Final = frozenset({"GET", "HEAD"})
_SENDING: Final = ("http11.send_request_headers.started", "http2.send_request_headers.started")
_UNAUTHORIZED: Final = 401
_BULK_MAX: Final = 1000


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server said, read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What an authentication gave: the account's address and a token for a while."""

    url: str
    token: str


class Asked(msgspec.Struct, frozen=True):
    """A request about a path below the account, whatever session it is sent in."""

    method: str
    path: str
    query: Mapping[str, str | int]
    headers: Mapping[str, str]
    data: bytes

    def url(self, session: Session) -> str:
        """The whole address."""
        url = f"{session.url}/{self.path}" if self.path else session.url
        values = (f"{name}={quote(str(value), safe='')}" for name, value in self.query.items())
        return f"{url}?{'&'.join(values)}" if self.query else url

    def with_token(self, session: Session) -> "Sent":
        """What goes with the request."""
        return Sent({**self.headers, "x-auth-token": session.token}, self.data)


class Sent(msgspec.Struct, frozen=True):
    """Headers and bytes of a request."""

    headers: Mapping[str, str]
    data: bytes = b""


class Connection:
    """Requests to one account."""

    def __init__(self, config: SwiftConfig, client: httpx.AsyncClient) -> None:
        self.config = config
        self._client = client
        self._session: Session | None = None
        """Not truth, only a token: whoever has none asks for one."""
        self._deletes_at_once = 0
        """As with the token; 0 is unasked."""

    @property
    def server(self) -> str:
        """What the server is called in messages."""
        return f"Swift at {self.config.auth_url}"

    async def ask(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        accept: Collection[int],
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes = b"",
        changes: bool | None = None,
    ) -> Answer:
        """One request about a path below the account; an answer of a status in ``accept``.

        Raises:
            DriverError: any other answer, or none.
        """
        changes = method not in _READS if changes is None else changes
        try:
            answer = await self._authorized(
                call, Asked(method, path, dict(query or {}), dict(headers or {}), data)
            )
        except DriverError as error:
            raise call.failed(error) from error.__cause__
        if answer.status not in accept:
            what = f"{method} {path.partition('?')[0] or 'the account'} of {self.server}"
            raise call.failed(refusal(answer.status, what, answer.body, changes=changes))
        call.changed = call.changed or changes
        return answer

    async def session(self, call: Call) -> Session:
        """The session there is, or a new one."""
        try:
            return await self._current(call)
        except DriverError as error:
            raise call.failed(error) from error.__cause__

    async def deletes_at_once(self, call: Call) -> int:
        """How many objects one request may remove: 1 where the server offers no bulk deletion, or
        does not tell what it offers.
        """
        if not self._deletes_at_once:
            root, _, _ = (await self.session(call)).url.partition("/v1")
            try:
                answer = await self._send(call, "GET", f"{root}/info", Sent({}))
            except DriverError as error:
                raise call.failed(error) from error.__cause__
            self._deletes_at_once = _bulk_of(answer)
        return self._deletes_at_once

    async def _authorized(self, call: Call, request: "Asked") -> Answer:
        session = await self._current(call)
        answer = await self._send(
            call, request.method, request.url(session), request.with_token(session)
        )
        if answer.status != _UNAUTHORIZED:
            return answer
        # The token is old: the request was refused, and may be sent again with a new one.
        if session is self._session:
            self._session = None
        session = await self._current(call)
        answer = await self._send(
            call, request.method, request.url(session), request.with_token(session)
        )
        if answer.status == _UNAUTHORIZED:
            raise Unauthenticated(
                f"{self.server} gives user {self.config.user!r} a token and does not accept it"
            )
        return answer

    async def _current(self, call: Call) -> Session:
        return self._session or await self._authenticated(call)

    async def _authenticated(self, call: Call) -> Session:
        config = self.config
        login = Sent({"x-auth-user": config.user, "x-auth-key": config.key})
        try:
            answer = await self._send(call, "GET", config.auth_url, login)
        except Unknown as error:  # to ask who one is changes nothing
            raise Unavailable(error.cause) from error
        url = answer.headers.get("x-storage-url", "")
        token = answer.headers.get("x-auth-token", "")
        match answer.status:
            case 200 | 204 if url and token and token.isascii():
                pass
            case 401:
                raise Unauthenticated(
                    f"{self.server} does not accept user {config.user!r} with this key; "
                    "see settings user and key"
                )
            case 403:
                raise Denied(f"{self.server} refuses user {config.user!r}; see setting user")
            case 400 | 404 | 405 | 412 | 200 | 204:
                raise Invalid(
                    f"{config.auth_url} is no Swift authentication of version 1; "
                    "see setting auth_url"
                )
            case status:
                raise refusal(status, f"authentication at {config.auth_url}", b"", changes=False)
        if urlsplit(url).scheme != urlsplit(config.auth_url).scheme:
            raise Invalid(
                f"{self.server} keeps the account at another kind of address; "
                "see whether setting auth_url must begin with http or https"
            )
        self._session = Session(url=url.rstrip("/"), token=token)
        return self._session

    async def _send(self, call: Call, method: str, url: str, what: Sent) -> Answer:
        """One request and its whole answer.

        Raises:
            Unavailable: it was never sent.
            Unknown: it was sent, and no whole answer came in time.
        """
        sent = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event in _SENDING

        try:
            async with asyncio.timeout_at(call.until):
                answer = await self._client.request(
                    method,
                    url,
                    headers=dict(what.headers),
                    content=what.data or None,
                    extensions={"trace": trace},
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as problem:
            raise self._unanswered(problem, sent=sent) from None
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status_code, headers=lowered, body=answer.content)

    def _unanswered(self, problem: Exception, *, sent: bool) -> DriverError:
        if sent and isinstance(problem, TimeoutError):
            return Unknown(f"{self.server} gave no answer in time")
        if sent:
            secure = urlsplit(self.config.auth_url).scheme == "https"
            hint = "" if secure else "; see whether setting auth_url must say https:"
            return Unknown(f"{self.server} gave no answer that was whole{hint}")
        refused = handshake_refusal(problem, self.server, "auth_url")
        return refused or Unavailable(f"{self.server} cannot be reached; see setting auth_url")


class _Bulk(msgspec.Struct, frozen=True):
    max_deletes_per_request: int = 1


class _Info(msgspec.Struct, frozen=True):
    """What is read of what a server offers."""

    bulk_delete: _Bulk = _Bulk()


def _bulk_of(answer: Answer) -> int:
    try:
        info = msgspec.json.decode(answer.body, type=_Info)
    except msgspec.DecodeError:
        return 1
    return max(1, min(info.bulk_delete.max_deletes_per_request, _BULK_MAX))


@asynccontextmanager
async def open_connection(config: SwiftConfig) -> AsyncIterator[Connection]:
    """Open a connection; nothing is sent before the first request.

    Raises:
        Invalid: a setting is wrong.
    """
    check_config(config)
    verify: ssl.SSLContext | bool = False  # nothing is encrypted over http
    secure = urlsplit(config.auth_url).scheme == "https"
    if secure or config.ca_file:
        trusted = await runtime().run_blocking(trusting, config.ca_file)
        verify = trusted if secure else False
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    async with httpx.AsyncClient(
        verify=verify,
        trust_env=False,
        limits=limits,
        timeout=httpx.Timeout(None, connect=_CONNECT_S),
        headers={"user-agent": "holdfast"},
    ) as client:
        yield Connection(config, client)
