"""What a fault proxy does to single requests, known by bytes in them: lost, answered, held back.

A network spoils connections; these spoil one request of a protocol, at the place where it hurts.
"""

import asyncio
from collections.abc import Callable

import msgspec

ALWAYS = 1 << 30
"""More requests than there will be."""
Match = Callable[[bytes], bool]
"""Whether a chunk that a client sent is the request that is meant."""


class RequestFault(msgspec.Struct, kw_only=True):
    """What becomes of the next requests of one kind.

    ``answer`` is sent in the server's place; ``change`` makes another answer of the server's;
    with neither, the server carries the request out and the connection breaks before its answer.
    """

    match: Match
    left: int
    answer: bytes | None = None
    change: Callable[[bytes], bytes] | None = None
    met: int = 0
    """How many requests it has spoilt."""


class HeldRequest:
    """A request that is kept back: it has arrived, and goes on when it is told to."""

    def __init__(self, match: Match) -> None:
        self._match = match
        self._arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()

    def meets(self, chunk: bytes) -> bool:
        """Whether this chunk is the one; a request is held once."""
        return not self._arrived.done() and self._match(chunk)

    async def arrived(self) -> None:
        """Wait until the request is here; the server has seen nothing of it."""
        await asyncio.shield(self._arrived)

    def release(self) -> None:
        """Let it go on, or pass unhindered where it has not come yet."""
        self._released.set()
        if not self._arrived.done():
            self._arrived.set_result(None)

    async def wait(self) -> None:
        """Say that it is here, and wait until it may go on."""
        self._arrived.set_result(None)
        await self._released.wait()


class RequestFaults:
    """The faults that single requests meet; the proxy asks here about each chunk of a client."""

    def __init__(self) -> None:
        self._faults: list[RequestFault] = []
        self._held: list[HeldRequest] = []

    def lose_answer(self, match: Match, times: int = 1) -> RequestFault:
        """Have the server carry a request out, and break the connection in place of its answer."""
        return self._added(RequestFault(match=match, left=times))

    def answer(self, match: Match, answer: bytes, times: int = ALWAYS) -> RequestFault:
        """Answer in the server's place, which sees nothing of the request."""
        return self._added(RequestFault(match=match, left=times, answer=answer))

    def change_answer(
        self, match: Match, change: Callable[[bytes], bytes], times: int = ALWAYS
    ) -> RequestFault:
        """Change the first bytes of the server's answers."""
        return self._added(RequestFault(match=match, left=times, change=change))

    def hold(self, match: Match) -> HeldRequest:
        """Keep the next request back until it is released."""
        held = HeldRequest(match)
        self._held.append(held)
        return held

    def clear(self) -> None:
        """Spoil nothing more, and let go what is held."""
        self._faults.clear()
        for held in self._held:
            held.release()
        self._held.clear()

    async def meet(self, chunk: bytes) -> RequestFault | None:
        """What is to become of a request, once it may go on."""
        for held in self._held:
            if held.meets(chunk):
                await held.wait()
        for fault in self._faults:
            if fault.left > 0 and fault.match(chunk):
                fault.left -= 1
                fault.met += 1
                return fault
        return None

    def _added(self, fault: RequestFault) -> RequestFault:
        self._faults.append(fault)
        return fault


def requests(method: str, *parts: str) -> Match:
    """The HTTP requests of a method whose first line has all of these in it."""
    fragments = [part.encode() for part in parts]
    start = method.encode() + b" "

    def meant(chunk: bytes) -> bool:
        line, _, _ = chunk.partition(b"\r\n")
        return line.startswith(start) and all(part in line for part in fragments)

    return meant


def http_answer(status: int, code: str = "") -> bytes:
    """An answer as an S3 server gives one that refuses; the connection ends with it."""
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
    head = f"HTTP/1.1 {status} {code}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
