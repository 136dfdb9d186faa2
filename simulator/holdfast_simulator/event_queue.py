"""SimPy's environment with events that can be cancelled for good: they neither stay nor take time.

SimPy itself keeps every event until it is due. A wait that is guarded by a timeout of a day, which
nearly all are, would leave an entry for a day of virtual time; and a queue with nothing else in it
would move the clock to the end of waits that nobody has any more.
"""

from heapq import heapify, heappop
from typing import Final

import simpy

_FEW: Final = 64
"""So many cancelled events are not worth a look through the queue."""


class EventQueue(simpy.Environment):
    """A clock and what is due, in order of time; at one instant in the order it was scheduled."""

    def __init__(self) -> None:
        super().__init__()
        self._cancelled: set[simpy.Event] = set()

    @property
    def scheduled(self) -> int:
        """How many events are held; at most half of them, beside a few, are cancelled."""
        return len(self._queue)

    def cancel(self, event: simpy.Event) -> None:
        """Let a scheduled event never happen; one that has happened is left alone."""
        if event.processed or event in self._cancelled:
            return
        event.callbacks = []  # what they hold is free at once
        self._cancelled.add(event)
        # Half of the queue is dropped at a time, so that a cancellation costs no more than it.
        if len(self._cancelled) > max(_FEW, len(self._queue) // 2):
            self._queue = [entry for entry in self._queue if entry[3] not in self._cancelled]
            heapify(self._queue)
            self._cancelled.clear()

    def peek(self) -> float:
        """The time of the next event; infinity if there is none."""
        self._drop_cancelled()
        return super().peek()

    def step(self) -> None:
        """Let the next event happen; the clock passes over cancelled ones."""
        if self._cancelled:
            self._drop_cancelled()
        super().step()

    def _drop_cancelled(self) -> None:
        while self._queue and self._queue[0][3] in self._cancelled:
            self._cancelled.remove(heappop(self._queue)[3])
