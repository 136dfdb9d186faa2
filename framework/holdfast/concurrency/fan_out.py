"""A few requests at once, for drivers whose server answers one question at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def several(
    items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int = 8
) -> list[R]:
    """The results for all items in their order, ``at_once`` of them worked on at a time.

    The first error is raised once all that was begun has ended: a request that were given up
    instead could still act on the server afterwards.
    """
    found: list[R] = []
    for start in range(0, len(items), at_once):
        begun = (work(item) for item in items[start : start + at_once])
        for ended in await asyncio.gather(*begun, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended
            found.append(ended)
    return found
