"""A client that asks a Swift server all the time to remove containers that are not empty.

That must be refused each time, and whatever happens in the containers meanwhile must not notice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from holdfast_drivers.swift.logins import Login, login, plain_client


@asynccontextmanager
async def refused_removals(address: str, user: str, key: str) -> AsyncIterator[None]:
    """Keep asking inside the context, as this user, for all containers of the user's account."""
    async with plain_client() as client:
        asking = asyncio.create_task(_ask_on(client, await login(client, address, user, key)))
        try:
            yield
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking


async def _ask_on(client: httpx.AsyncClient, who: Login) -> None:
    client.headers.update(who.token)
    while True:
        names = (await client.get(who.account)).text.split()
        await asyncio.gather(*(_ask(client, f"{who.account}/{name}") for name in names))


async def _ask(client: httpx.AsyncClient, container: str) -> None:
    """Ask once; one that is empty may be on its way to be a store, and is left alone."""
    there = await client.head(container)
    if int(there.headers.get("x-container-object-count", "0")):
        await client.delete(container)
