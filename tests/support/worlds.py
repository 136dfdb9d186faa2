"""Stories that tests tell of a world of their own: whatever they need, open while they last."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest

from holdfast.contract.errors import DriverError

WorldT = TypeVar("WorldT")


def tell_in(
    world: AbstractAsyncContextManager[WorldT], story: Callable[[WorldT], Awaitable[None]]
) -> None:
    """Open a world, and let a story happen in it."""

    async def told() -> None:
        async with world as opened:
            await story(opened)

    asyncio.run(told())


async def refused(error: type[DriverError], call: Awaitable[object]) -> DriverError:
    """The error with which a call is refused."""
    with pytest.raises(error) as caught:
        await call
    return caught.value
