"""One driver's connection to its export: made when it is needed, made again when it broke."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, Final, ParamSpec, TypeVar

from holdfast.concurrency.runtime import Lane, runtime
from holdfast.contract.errors import DriverError
from holdfast.contract.requests import CallContext
from holdfast_drivers.nfs.errors import LOST, call_error, mount_error
from holdfast_drivers.nfs.libnfs import Address, Client

P = ParamSpec("P")
T = TypeVar("T")

_MARGIN_S: Final = 0.5
_LONGEST_S: Final = 600.0


class _Broken(Exception):
    """An old connection was lost before anything could be changed by it."""


class Session:
    """A connection that lives in one lane; its work is blocking functions of a client."""

    def __init__(self, where: Callable[[], Address], lane: Lane) -> None:
        self._where = where
        self._lane = lane
        self._client: Client | None = None
        self._deadline = 0.0
        self._clock: Callable[[], float] = asyncio.get_running_loop().time

    async def run(
        self,
        ctx: CallContext,
        key: str,
        function: Callable[Concatenate[Client, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function(client, ...)`` within the call's deadline; only driver errors leave it.

        A connection that turns out to be dead before anything was changed is made anew, once.

        Raises:
            Unavailable: the server cannot be reached, and nothing was done.
            Unknown: no answer came in time, or the connection broke after something was sent.
        """
        address = self._where()

        def work() -> T:
            self._deadline = min(ctx.deadline - _MARGIN_S, self._clock() + _LONGEST_S)
            try:
                return self._once(address, key, lambda client: function(client, *args, **kwargs))
            except _Broken:
                return self._once(address, key, lambda client: function(client, *args, **kwargs))

        return await self._lane.run(work)

    def _once(self, address: Address, key: str, function: Callable[[Client], T]) -> T:
        fresh = self._client is None
        client = self._client or self._connect(address)
        client.begin()
        try:
            return function(client)
        except OSError as error:
            # What is stale after several looks may be the mounted root itself, and stays so.
            if error.errno in LOST or error.errno == errno.ESTALE:
                self._drop()
                if error.errno != errno.ETIMEDOUT and not fresh and not client.changing:
                    raise _Broken from error
            raise call_error(error, address, key, changing=client.changing) from error
        except DriverError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in LOST:
                self._drop()
            raise

    def _connect(self, address: Address) -> Client:
        try:
            self._client = Client(address, lambda: self._deadline - self._clock())
        except OSError as error:
            raise mount_error(error, address) from error
        return self._client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    @property
    def name(self) -> str:
        """What the connection leads to, for people."""
        address = self._where()
        return f"NFS export {address.export} of {address.server}"

    async def close(self) -> None:
        """End the connection after all that is under way."""
        await self._lane.run(self._drop)


@asynccontextmanager
async def open_session(where: Callable[[], Address]) -> AsyncIterator[Session]:
    """A session; nothing is sent, and ``where`` is not asked, before it is used."""
    lane = runtime().open_lane()
    try:
        session = Session(where, lane)
        try:
            yield session
        finally:
            await asyncio.shield(session.close())
    finally:
        lane.close()
