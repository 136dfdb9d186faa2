"""How a defect becomes a mutant: the provider ``memory`` with one of its parts replaced."""

import re
from collections.abc import Callable
from functools import partial

from holdfast.contract.mutant import Mutant
from holdfast.contract.ports import Provider
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
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
    return Mutant(
        name=_name_of(part),
        property=identifier,
        category=identifier.partition("-")[0],
        statement=" ".join((part.__doc__ or "").split()),
        provider=_maker_of(part),
    )


def blind(part: Part, *, loses_data: bool) -> Mutant:
    """The mutant for a part whose author did not know the suite: any property may fail it."""
    return Mutant(
        name=_name_of(part),
        property="",
        category="",
        statement=" ".join((part.__doc__ or "").split()),
        provider=_maker_of(part),
        blind=True,
        loses_data=loses_data,
    )


def _name_of(part: Part) -> str:
    return "-".join(re.findall("[A-Z][a-z0-9]*", part.__name__)).lower()


def _maker_of(part: Part) -> Callable[[], Provider]:
    return part if issubclass(part, MemoryProvider) else partial(PlantedProvider, part)
