"""A client that asks a Swift server all the time to remove containers that are not empty.

That must be refused each time, and whatever happens in the containers meanwhile must not notice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

_ANSWER_S: Final = 5.0


@asynccontextmanager
async def refused_removals(address: str, user: str, key: str) -> AsyncIterator[None]:
    """Keep asking inside the context, as this user, for all containers of the user's account."""
    async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as client:
        asking = asyncio.create_task(
            _ask_on(client, address, {"x-auth-user": user, "x-auth-key": key})
        )
        try:
            yield
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking


async def _ask_on(client: httpx.AsyncClient, address: str, who: dict[str, str]) -> None:
    given = await client.get(f"{address}/auth/v1.0", headers=who)
    account, token = given.headers["x-storage-url"], given.headers["x-auth-token"]
    client.headers["x-auth-token"] = token
    while True:
        names = (await client.get(account)).text.split()
        await asyncio.gather(*(_ask(client, f"{account}/{name}") for name in names))


async def _ask(client: httpx.AsyncClient, container: str) -> None:
    """Ask once; one that is empty may be on its way to be a store, and is left alone."""
    there = await client.head(container)
    if int(there.headers.get("x-container-object-count", "0")):
        await client.delete(container)
