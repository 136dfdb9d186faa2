"""Work that ends where its owner does: one task of a context, and what must be done to its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from holdfast.concurrency.late_calls import watching

T = TypeVar("T")


@asynccontextmanager
async def owned_task(
    work: Coroutine[Any, Any, None], *, end: Callable[[], object], name: str
) -> AsyncIterator[None]:
    """Let a task work for everybody while the context lasts; none outlives it.

    What the task raises cancels the context's body and is raised here. What the body raises comes
    out as it is, not in a group.

    Args:
        work: what the task does; it goes on until ``end``.
        end: tells it that the body has ended. It finishes what it has to, whoever cancels
            meanwhile; only the end of the loop itself cuts it off.
        name: the task's.
    """
    failed: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            # It works for all: whose call opened it has nothing to do with how long it works.
            with watching(None):
                task = tasks.create_task(work, name=name)
            try:
                yield
            except asyncio.CancelledError:
                raise
            except BaseException as failure:  # noqa: BLE001 - raised below, not wrapped in a group
                failed = failure
            finally:
                end()
                # Left to the group, a cancellation of the body would cancel the task as well.
                await _until_ended(task)
    except BaseExceptionGroup as group:
        # Of one task; the body's own groups are not raised inside.
        raise group.exceptions[0] from failed
    if failed is not None:
        raise failed


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Do this to its end, whoever cancels meanwhile; the cancellation is raised after it.

    Only the end of the loop itself (a second Ctrl-C) does not wait.
    """
    task = asyncio.create_task(work)
    try:
        await _until_ended(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.result()  # a failure is told before a cancellation
        raise
    return task.result()


async def _until_ended(task: "asyncio.Task[Any]") -> None:
    """Wait for the end of a task; a cancellation waits for it too."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
    if cancelled is not None:
        raise cancelled
