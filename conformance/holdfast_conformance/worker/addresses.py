"""Temporary addresses that were made during a plan, and requests to them as anybody can send them.

They are secrets for as long as they work: they stay in here, and only what came of them is told.
"""

import asyncio
import hashlib
import http.client
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, Method
from holdfast_conformance.trace import AddressMade, Fetched, FetchResult

_READ_BYTES: Final = 1 << 20
_TIMEOUT_MAX_S: Final = 8.0
_ROUNDED_S: Final = 1.0
"""A server that counts in whole seconds may keep an address for up to one longer."""
_GRACE_S: Final = 3.0
"""How late an address may be refused at most: the server's clock is not ours."""
_AGAIN_S: Final = 0.25
_BODY: Final = b"not to be stored"


class _Address(msgspec.Struct, frozen=True):
    """An address, and the moment on the loop's clock at which it ends."""

    url: str
    ends_s: float


class Addresses:
    """The addresses of one plan, by name.

    Args:
        timeout_s: how long a request waits for the server.
    """

    def __init__(self, timeout_s: float) -> None:
        self._made: dict[str, _Address] = {}
        self._timeout_s = min(timeout_s, _TIMEOUT_MAX_S)

    def keep(self, name: str, url: str, expires_s: float) -> AddressMade:
        """Keep an address that was just answered."""
        problem = _problem(url)
        if not problem:
            self._made[name] = _Address(url, asyncio.get_running_loop().time() + expires_s)
        return AddressMade(problem)

    async def fetch(self, step: FetchAddress | FetchExpired) -> Fetched:
        """What comes of the request, or of the last one where several are sent."""
        made = self._made.get(step.address)
        if made is None:
            return Fetched(result=FetchResult.NOTHING)
        if isinstance(step, FetchExpired):
            return await self._outlive(made)
        if not step.path_of:
            return await self._ask(made.url, step.method)
        other = self._made.get(step.path_of)
        mixed = other and _with_path(made.url, urlsplit(other.url))
        if not mixed:
            return Fetched(result=FetchResult.NOTHING)
        if other is None or mixed in (made.url, other.url):
            alike = "the two addresses differ in their path or in their query alone"
            return Fetched(result=FetchResult.NOTHING, detail=alike)
        return await self._ask(mixed, step.method)

    async def _outlive(self, made: _Address) -> Fetched:
        """Wait for the end of an address; one that still works then has a grace to end."""
        loop = asyncio.get_running_loop()
        last_s = made.ends_s + _ROUNDED_S + _GRACE_S
        next_s = made.ends_s
        while True:
            await asyncio.sleep(next_s - loop.time())
            began_s = loop.time()
            found = await self._ask(made.url, Method.GET)
            if found.result is not FetchResult.GIVEN or began_s >= last_s:
                return found
            next_s = min(loop.time() + _AGAIN_S, last_s)

    async def _ask(self, url: str, method: Method) -> Fetched:
        return await runtime().run_blocking(_request, url, method, self._timeout_s)


def _problem(url: str) -> str:
    """Why this is no address that could be fetched; empty where it is one."""
    if not url:
        return "an empty address"
    try:
        parts = urlsplit(url)
        right = bool(parts.scheme in {"http", "https"} and parts.hostname and parts.path)
        # A port that is none is told only when it is asked for.
        right = right and parts.port != 0
    except ValueError:
        right = False
    plain = url.isascii() and url.isprintable() and " " not in url
    return "" if right and plain else "something that is no address of http or https"


def _with_path(url: str, other: SplitResult) -> str:
    """An address with the path of another one, and its own query."""
    return urlunsplit(urlsplit(url)._replace(path=other.path))


def _request(url: str, method: Method, timeout_s: float) -> Fetched:
    """Send one request without credentials; redirections are not followed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        secure = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=secure)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    target = urlunsplit(("", "", parts.path, parts.query, ""))
    try:
        connection.request(method.value, target, body=_BODY if method is Method.PUT else None)
        return _answered(connection.getresponse(), method)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        # Without its text, which may quote the address.
        return Fetched(result=FetchResult.FAILED, detail=type(problem).__name__)
    finally:
        connection.close()


def _answered(response: http.client.HTTPResponse, method: Method) -> Fetched:
    digest, length_bytes = hashlib.sha256(), 0
    while data := response.read(_READ_BYTES):
        digest.update(data)
        length_bytes += len(data)
    status = response.status
    match status // 100:
        case 2 if method is Method.GET:
            return Fetched(
                result=FetchResult.GIVEN,
                status=status,
                length_bytes=length_bytes,
                sha256=digest.hexdigest(),
            )
        case 2:
            return Fetched(result=FetchResult.GIVEN, status=status)
        case 4:
            return Fetched(result=FetchResult.REFUSED, status=status)
        case _:
            return Fetched(result=FetchResult.FAILED, status=status)
