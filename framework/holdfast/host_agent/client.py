"""The client of an agent: starts it over a channel, and calls it, with a deadline for each call.

Many calls are under way at once over one process, with no task behind them.

A call that is not answered in time is ``Unknown``, and that is all: its number stays known, so that
its answer is recognised whenever it comes. Whether the way to the agent is still open is another
question, and a ping answers it; only where nothing at all comes back is the agent given up.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from holdfast.concurrency.runtime import may_still_act, runtime
from holdfast.contract.errors import Internal, Invalid, Unavailable, Unknown
from holdfast.host_agent.wire import (
    HELLO,
    PING,
    VERSION,
    Call,
    Frames,
    Hello,
    Reply,
    error_of,
    frame,
)
from holdfast.host_channel import Channel, ChannelProcess

T = TypeVar("T")

AGENT: Final = ("-P", "-m", "holdfast.host_agent")
"""What a Python on a storage host is started with; never does it load what lies about there."""
_MARGIN_S: Final = 0.5
_MARGIN_PART: Final = 0.1
_PATIENCE_PART: Final = 0.5
_LATE_MAX: Final = 32
_NOTHING: Final = msgspec.Raw(msgspec.msgpack.encode(None))


class _Session:
    """One agent, from its start until it is gone; called back by its channel."""

    def __init__(self) -> None:
        self.process: ChannelProcess | None = None
        self.gone = ""
        self.heard = 0
        """Grows with everything that comes from the agent."""
        self.late: set[int] = set()
        """The calls that were given up, and that the agent still has."""
        self._frames = Frames()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}

    def send(self, number: int, data: bytes) -> asyncio.Future[Reply]:
        """Send a frame; the answer to it, which has come or never will once the future is done.

        Raises:
            Unavailable: the agent is gone, and nothing was sent.
        """
        assert self.process is not None
        self.process.write(data)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        return waiting

    def ping(self, number: int) -> None:
        """Have the agent say something, if it can."""
        assert self.process is not None
        with contextlib.suppress(Unavailable):  # what became of the agent is told by ``ended``
            self.process.write(frame(Call(number, PING, _NOTHING)))

    def data_received(self, data: bytes) -> None:
        """Keep each answer for whoever waits for it; one that nobody wants any more is dropped."""
        self.heard += 1
        try:
            for payload in self._frames.feed(data):
                reply = msgspec.msgpack.decode(payload, type=Reply)
                # What the reply points into must outlive the frame.
                waiting = self._waiting.pop(reply.id, None)
                self.late.discard(reply.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except (ValueError, msgspec.MsgspecError):
            self.drop("what answers there is no agent of Holdfast")

    def ended(self, reason: str) -> None:
        """Tell everyone who waits that no answer will come."""
        self.gone = self.gone or reason
        waiting, self._waiting = self._waiting, {}
        self.late.clear()
        for call in waiting.values():
            if not call.done():
                call.set_exception(Unknown(f"the storage host's agent is gone, {self.gone}"))
                call.exception()  # it may be that nobody asks

    def drop(self, reason: str) -> None:
        """Have nothing more to do with this agent."""
        self.ended(reason)
        if self.process is not None:
            self.process.abort()


class RemoteClient:
    """Calls verbs of an entry on a storage host.

    Args:
        channel: the way there; the client closes it.
        entry: ``module:name`` there.
        config: what the entry is made with; it may hold secrets, and travels on standard input.
        python: the interpreter there that has Holdfast's packages.
        socket: where an agent waits there; one is started where this is empty.
    """

    def __init__(
        self,
        channel: Channel,
        entry: str,
        config: bytes,
        *,
        python: Sequence[str] = ("python3",),
        socket: str = "",
    ) -> None:
        self._channel = channel
        self._socket = socket
        self._argv = (*python, *AGENT, entry)
        self._hello = Hello(VERSION, config)
        self._session: _Session | None = None
        self._starting = asyncio.Lock()
        self._number = HELLO

    @property
    def where(self) -> str:
        """What people call the storage host."""
        return self._channel.where

    async def call(
        self, verb: str, request: object, answer: type[T] | Any, *, deadline: float
    ) -> T:
        """Have a verb carried out and return its answer, in good time before ``deadline``.

        Raises:
            Unavailable: the storage host cannot be reached; nothing was asked of it.
            Unknown: the call was sent, and no answer came.
            DriverError: whatever the verb raised.
        """
        reply = await self._exchange(verb, request, before(deadline))
        if reply.failure is not None:
            raise error_of(reply.failure)
        try:
            decoded: T = msgspec.msgpack.decode(reply.answer, type=answer)
        except msgspec.MsgspecError as error:
            raise Internal(f"{self.where} answered {verb} with nonsense: {error}") from error
        return decoded

    async def _exchange(self, verb: str, request: object, until: float) -> Reply:
        session = await self._ready(until)
        number = self._next()
        sent = frame(Call(number, verb, msgspec.Raw(msgspec.msgpack.encode(request))))
        waiting = session.send(number, sent)
        # From here on the agent may act on it, whatever becomes of whoever waits.
        may_still_act(waiting)
        try:
            await self._wait(session, waiting, until)
        finally:
            # Counted even where the caller was cancelled: each of them holds a thread there.
            if not waiting.done():
                session.late.add(number)
        if not waiting.done():
            self._judge(session)
            raise Unknown(f"{self.where} was asked and did not answer in time")
        return waiting.result()

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _wait(self, session: _Session, waiting: asyncio.Future[Reply], until: float) -> None:
        """Wait for an answer, and where nothing comes find out in good time whether anything can.

        An agent that says nothing at all, not even to a ping, is given up.
        """
        heard = session.heard
        left_s = until - runtime().now()
        await asyncio.wait((waiting,), timeout=left_s * _PATIENCE_PART)
        if waiting.done():
            return
        if session.heard == heard:
            session.ping(self._next())
        await asyncio.wait((waiting,), timeout=until - runtime().now())
        if not waiting.done() and session.heard == heard:
            self._drop(session, "it does not answer at all")

    def _judge(self, session: _Session) -> None:
        """Give up an agent whose calls come to no end, so that a new one has threads again.

        Wherever the old one is, its entry refuses by their fences the calls that it goes on with.
        """
        if len(session.late) > _LATE_MAX:
            self._drop(session, f"it has not answered {len(session.late)} calls")

    async def _ready(self, until: float) -> _Session:
        try:
            async with asyncio.timeout_at(until), self._starting:
                # Who waited for the lock finds the agent that the one before has started.
                if self._session is None or self._session.gone:
                    self._session = await self._start(until)
                return self._session
        except TimeoutError:
            raise Unavailable(f"{self.where} does not answer (settings host and port)") from None

    async def _start(self, until: float) -> _Session:
        session = _Session()
        session.process = await self._agent(session, until)
        try:
            async with asyncio.timeout_at(until):
                reply = await session.send(HELLO, frame(self._hello))
        except (Unavailable, Unknown) as error:
            await session.process.close()
            if session.process.status is None:
                raise Unavailable(f"{self.where}: {session.gone}") from error
            # It ended before it could do anything.
            raise Invalid(
                f"{self.where} cannot run the agent ({' '.join(self._argv[:3])}, setting python): "
                f"{session.gone}"
            ) from error
        except BaseException:
            session.drop("it did not greet in time")
            self._channel.abort()
            raise
        if reply.failure is not None:
            await session.process.close()
            raise error_of(reply.failure)
        return session

    async def _agent(self, session: _Session, until: float) -> ChannelProcess:
        if self._socket:
            try:
                return await self._channel.connect_unix(self._socket, session, deadline=until)
            except Unavailable as error:
                raise Unavailable(
                    f"{error.cause} ; the settings are agent_socket and those of ssh"
                ) from error
        return await self._channel.start(self._argv, session, deadline=until)

    def _drop(self, session: _Session, reason: str) -> None:
        """Have nothing more to do with an agent; the calls that it still has are ``Unknown``."""
        session.drop(reason)
        if self._session is session:
            self._session = None
            self._channel.abort()

    async def close(self) -> None:
        """End the agent and the channel; nothing stays behind on this side."""
        session, self._session = self._session, None
        if session is not None and session.process is not None and not session.gone:
            await session.process.close()
        await self._channel.close()


def before(deadline: float) -> float:
    """When to stop waiting, so that the caller hears of it before ``deadline``."""
    rest_s = deadline - runtime().now()
    return deadline - min(_MARGIN_S, max(0.0, rest_s) * _MARGIN_PART)
