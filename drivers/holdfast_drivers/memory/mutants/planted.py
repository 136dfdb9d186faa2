"""How a defect becomes a mutant: the provider ``memory`` with one of its parts replaced."""

import re
from collections.abc import Callable
from functools import partial

from holdfast.mutant import Mutant
from holdfast.ports import Provider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.image import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.primary import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

Part = (
    type[Backend]
    | type[MemoryPrimaryDriver]
    | type[MemoryImageDriver]
    | type[MemoryLifeCycle]
    | type[MemoryProvider]
)


class PlantedProvider(MemoryProvider):
    """The provider ``memory`` with one defective part."""

    def __init__(self, part: Part) -> None:
        if issubclass(part, Backend):
            self.backend_type = part
        elif issubclass(part, MemoryPrimaryDriver):
            self.primary_type = part
        elif issubclass(part, MemoryImageDriver):
            self.image_type = part
        elif issubclass(part, MemoryLifeCycle):
            self.life_cycle_type = part
        else:
            raise TypeError(f"{part.__name__} is no part of the provider")


def planted(identifier: str, part: Part) -> Mutant:
    """The mutant for a defective part, which must fail the property with this id.

    Its name and its statement are those of the class.
    """
    words = re.findall("[A-Z][a-z0-9]*", part.__name__)
    make: Callable[[], Provider]
    make = part if issubclass(part, MemoryProvider) else partial(PlantedProvider, part)
    return Mutant(
        name="-".join(words).lower(),
        property=identifier,
        category=identifier.partition("-")[0],
        statement=" ".join((part.__doc__ or "").split()),
        provider=make,
    )
