"""Sweeps over all places where a call can be met: the usual run visits some, the full one all.

``HOLDFAST_RACES=full`` visits all, and meets each server that there is.
"""

import os
from collections.abc import Iterator
from typing import Final

FULL: Final = os.environ.get("HOLDFAST_RACES") == "full"


class Sweep:
    """The places of a call, one after the other, as long as ``at_place`` tells that there are more.

    A call that is shorter than where a sweep begins is met at all of its places: no sweep meets a
    call nowhere.

    Args:
        limit: more places than any such call has.
        begin: the first place to visit.
        every: how many places further the next one is.
    """

    def __init__(self, limit: int, begin: int = 0, every: int = 1) -> None:
        self._limit = limit
        self._first = 0 if FULL else begin % every
        self._every = 1 if FULL else every
        self._met = self._over = False

    def __iter__(self) -> Iterator[int]:
        for at in range(self._first, self._limit, self._every):
            yield at
            if self._over:
                break
        else:
            raise AssertionError(f"the call has more than {self._limit} places")
        if not self._met:
            for at in range(self._first):
                yield at
                if self._over:
                    break
            assert self._met, "the call was met nowhere"

    def at_place(self, met: object) -> None:
        """Whether the call came to this place at all; if not, it has no further ones."""
        self._met = self._met or bool(met)
        self._over = not met
