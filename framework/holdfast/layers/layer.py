"""What a layer is: one method around every call of a driver's verbs, whichever port it is of."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from holdfast.contract import answers
from holdfast.contract.requests import CallContext, Request


class Call:
    """A verb of the driver below, to be made once, several times or not at all.

    ``probed`` is the verb that a probe asks about, and empty for any other call.
    """

    __slots__ = ("_below", "probed", "verb")

    def __init__(self, below: object, verb: str) -> None:
        self._below = below
        self.verb = verb
        self.probed = ""

    def __call__(self, ctx: CallContext, request: Request) -> Awaitable[Any]:
        # Looked up as late as this, so that a verb that is not there is an error of the call.
        answer: Awaitable[Any] = getattr(self._below, self.verb)(ctx, request)
        return answer


class ProbeCall(Call):
    """A probe, of the request that it asks about."""

    __slots__ = ()

    def __init__(self, below: object, probed: str) -> None:
        super().__init__(below, "probe")
        self.probed = probed

    def __call__(self, ctx: CallContext, request: Request) -> Awaitable[Any]:
        below: Any = self._below
        answer: Awaitable[Any] = below.probe(ctx, self.probed, request)
        return answer


class GetStore(Request, frozen=True, kw_only=True, tag="get_store"):
    """Stands for the life cycle's ``get``, which takes no request."""


class GetStoreCall(Call):
    """The life cycle's ``get``."""

    __slots__ = ()

    def __init__(self, below: object) -> None:
        super().__init__(below, "get")

    def __call__(self, ctx: CallContext, request: Request) -> Awaitable[Any]:  # noqa: ARG002 - it has none
        below: Any = self._below
        answer: Awaitable[Any] = below.get(ctx)
        return answer


class StreamCall(Call):
    """``enumerate``, the one verb that answers with a stream."""

    __slots__ = ()

    def __init__(self, below: object) -> None:
        super().__init__(below, "enumerate")

    def stream(self, ctx: CallContext, request: Request) -> AsyncIterator[answers.OwnedThing]:
        """Everything that the driver below enumerates."""
        below: Any = self._below
        things: AsyncIterator[answers.OwnedThing] = below.enumerate(ctx, request)
        return things


@asynccontextmanager
async def closing(
    things: AsyncIterator[answers.OwnedThing],
) -> AsyncIterator[AsyncIterator[answers.OwnedThing]]:
    """A stream that is closed with the context: whoever closes a layer's closes those below it."""
    try:
        yield things
    finally:
        close = getattr(things, "aclose", None)  # what is no generator need not have it
        if close is not None:
            await close()


class Layer(ABC):
    """A concern of every call, around one opened port; ``layered`` puts it there.

    A layer keeps no state of a store: what it may keep is its own (a recorder's records, a
    throttle's turn).
    """

    @abstractmethod
    async def around(self, ctx: CallContext, request: Request, call: Call) -> Any:
        """Make the call, and return its answer or raise a ``DriverError``.

        Behaviour:
        - what comes out of ``call`` goes to the caller unless it is this layer's business.
        - ``call`` is given the context and the request, or others in their place.
        """

    async def around_stream(
        self, ctx: CallContext, request: Request, call: StreamCall
    ) -> AsyncIterator[answers.OwnedThing]:
        """As ``around``, for ``enumerate``; by itself it passes the stream through."""
        async with closing(call.stream(ctx, request)) as things:
            async for thing in things:
                yield thing
