"""Which of a plan's drivers made the last change that a step could see."""

from collections.abc import Iterator

from holdfast.contract.requests import Request
from holdfast_conformance.plan import Step, Together, UseDriver, calls_of

_NAMES = ("key", "volume", "snapshot", "target", "upload", "host")
_SOME_OTHER = -1
"""The number of whoever makes calls at once through two drivers."""


class DriversUsed:
    """Follows which driver a plan goes through, and which one last had to do with each name."""

    def __init__(self) -> None:
        self._number = 0
        self._changed_by: dict[str, int] = {}
        self._last = 0

    def crossed(self, step: Step) -> bool:
        """Whether another driver made the last change of what this step names, or of anything."""
        names = tuple(_names_in(step))
        makers = [self._changed_by.get(name, self._number) for name in names] or [self._last]
        return any(maker != self._number for maker in makers)

    def follow(self, step: Step, *, changed: bool) -> None:
        """Take a step into account, and whether it changed what the store holds."""
        if isinstance(step, UseDriver):
            self._number = step.number
        elif changed:
            apart = isinstance(step, Together) and step.apart
            maker = _SOME_OTHER if apart else self._number
            self._last = maker
            for call in calls_of(step):
                self._changed_by.update((name, maker) for name in _names_in(call))


def _names_in(step: Request) -> Iterator[str]:
    """The names in a request."""
    for field in _NAMES:
        if name := getattr(step, field, ""):
            yield str(name)
