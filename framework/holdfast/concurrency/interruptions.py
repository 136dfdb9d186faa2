"""Ctrl-C is heard, wherever the main thread is when it comes."""

import asyncio
import atexit
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_SOON_S = 0.02
"""How long until it is raised again: the callback that swallowed it has to return first."""


def hear_all_interruptions() -> None:
    """Have an interruption that is swallowed raised again.

    The handler of a signal raises wherever the main thread happens to be. In a weak reference's
    callback or a finalizer, which the imports of a large package run by the hundred, the exception
    is printed and dropped, and the program goes on as if nobody had asked. Call it once, in the
    main thread.
    """
    before = sys.unraisablehook
    # Registered early, it runs late: a program that has come to its end has nobody left to tell,
    # and an alarm that finds no handler any more would end it with another exit code.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)

    def swallowed(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        try:
            signal.signal(signal.SIGALRM, _again)
        except ValueError:  # not in the main thread, where all handlers run: it is no signal's
            before(unraisable)
            return
        signal.setitimer(signal.ITIMER_REAL, _SOON_S)

    sys.unraisablehook = swallowed


def _again(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_program(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, for a command: whatever it waits for, a signal wakes it.

    Python's handler of a signal only notes it, for the main thread to act on. A loop that was just
    about to wait, or whose signal came to another thread, would wait on until something else
    happened, perhaps for ever. A loop that handles some signal is woken by every one.
    """
    return asyncio.run(_awake(main))


async def _awake(main: Coroutine[Any, Any, T]) -> T:
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGWINCH)
    try:
        loop.add_signal_handler(signal.SIGWINCH, _nothing)  # ignored unless somebody asks for it
    except (RuntimeError, ValueError):  # not in the main thread, to which all signals are told
        return await main
    try:
        return await main
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        signal.signal(signal.SIGWINCH, before)


def _nothing() -> None:
    """What a terminal's new size means to a command."""
