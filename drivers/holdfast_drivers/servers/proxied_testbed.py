"""What testbeds share whose server the driver reaches through a proxy that can fail it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from holdfast.contract.errors import Unsupported
from holdfast.contract.testbed import Fault, Testbed
from holdfast_drivers.servers.fault_proxy import PROXY_FAULTS, FaultProxy


class ProxiedTestbed(Testbed):
    """A server behind a proxy; ``begin`` and ``end`` are what only the server's owner can do.

    Args:
        proxy: what stands between driver and server.
    """

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those of the proxy."""
        return self.proxy.tasks

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """The proxy sees every request, each in one piece."""
        return self.proxy.next_request(count)

    @asynccontextmanager
    async def inject(self, fault: Fault) -> AsyncIterator[None]:
        """Keep a fault in force; afterwards the server answers as before."""
        if fault in PROXY_FAULTS:
            async with self.proxy.inject(fault):
                yield
            return
        await self.begin(fault)
        try:
            yield
        finally:
            await self.end(fault)

    async def begin(self, fault: Fault) -> None:
        """Put a fault in force that is none of the network.

        Raises:
            Unsupported: the server's owner cannot.
        """
        raise Unsupported(f"this testbed cannot put the fault {fault} in force")

    async def end(self, fault: Fault) -> None:
        """End what ``begin`` began, and return once the server answers."""
