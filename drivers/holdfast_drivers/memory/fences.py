"""The highest fence of each object, by which a call that comes after a later one is refused."""

import enum
from typing import Final

from holdfast.contract.errors import Busy
from holdfast_drivers.refusals import refuse_late

KEPT_MAX: Final = 4096
"""How many are kept before half of them make room, the lowest first."""


class Fenced(enum.StrEnum):
    """What has fences; with a key, one object."""

    STORE = "store"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    UPLOAD = "upload"
    PART = "part"
    OBJECT = "object"


class Fences:
    """The fences of one store; ``floor`` is the highest that had to make room."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Fenced, str], int] = {}
        self._floor = 0

    def compare(self, kind: Fenced, key: str, fence: int) -> None:
        """Refuse a call that is late for an object that it only reads.

        Raises:
            Precondition: a later call was made on it.
            Busy: it is not known any more whether one was; the call may come again.
        """
        if fence == 0:
            return
        highest = self._kept.get((kind, key))
        if highest is None:
            if fence < self._floor:
                raise Busy("many later calls were made since this one; try again", object=key)
        else:
            refuse_late(fence, highest, key, what=kind)

    def enter(self, kind: Fenced, key: str, fence: int) -> None:
        """Keep the fence of a call that may change an object, or refuse it as ``compare`` does."""
        self.compare(kind, key, fence)
        if fence == 0:
            return
        self._kept[kind, key] = fence
        if len(self._kept) > KEPT_MAX:
            lowest = sorted(self._kept.items(), key=lambda item: item[1])[: KEPT_MAX // 2]
            for name, lowest_fence in lowest:
                del self._kept[name]
                self._floor = max(self._floor, lowest_fence)
