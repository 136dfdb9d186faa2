"""The watch over calls that never return control: what counts as hung, and what does not."""

import asyncio
import time
from collections.abc import Callable

TICK_S = 0.1
_TICK_MAX_S = 0.3
"""A tick that took longer shows a stalled machine, and the driver was stalled with it."""


class Clock:
    """Counts how long the driver has been silent, in ticks of its own.

    A call that holds the event loop stops these ticks as well; the supervisor's patience ends it.
    In virtual time there are no ticks: a loop in which a call waits for nothing ends by itself.

    Args:
        limit_s: how long one call may take.
        hung: called once when a call has taken longer; it does not return.
    """

    def __init__(self, limit_s: float, hung: Callable[[], None]) -> None:
        self.limit_s = limit_s
        self._hung = hung
        self._silent_s = 0.0
        self._watching = False
        self._last_s = 0.0

    def start(self) -> None:
        """Tick on the running loop from now on."""
        self._last_s = real_time_s()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now_s = real_time_s()
        passed_s, self._last_s = min(now_s - self._last_s, _TICK_MAX_S), now_s
        if self._watching:
            self._silent_s += passed_s
            if self._silent_s > self.limit_s:
                self._hung()
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def watch(self) -> None:
        """A call into the driver begins."""
        self._silent_s = 0.0
        self._watching = True

    def rest(self) -> None:
        """The call is over."""
        self._watching = False


_REAL_CLOCK = time.perf_counter
"""Taken at once: whoever provides virtual time replaces that name while its loop runs."""


def real_time_s() -> float:
    """Real seconds of arbitrary origin: the latency a person would see, also in virtual time."""
    return _REAL_CLOCK()
