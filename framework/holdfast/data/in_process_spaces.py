"""Extent spaces: bytes that live in this process, for the reference driver and for simulated
backends.
"""

from abc import ABC, abstractmethod
from weakref import WeakValueDictionary

from holdfast.contract.errors import Unavailable
from holdfast.contract.handles import ExtentHandle
from holdfast.data.block_io import BlockIO


class ExtentSpace(ABC):
    """A backend whose handles are resolved inside this process."""

    @abstractmethod
    def block_io(self, handle: ExtentHandle) -> BlockIO:
        """Block access through a handle this space issued; ``Denied`` once it was revoked."""


_spaces: WeakValueDictionary[str, ExtentSpace] = WeakValueDictionary()


def register_extent_space(name: str, space: ExtentSpace) -> None:
    """Make a space's handles usable for as long as the space itself is alive."""
    _spaces[name] = space


def extent_space(name: str) -> ExtentSpace:
    """The living space of this name; ``Unavailable`` when there is none in this process."""
    space = _spaces.get(name)
    if space is None:
        raise Unavailable(f"extent space {name} is not in this process")
    return space
