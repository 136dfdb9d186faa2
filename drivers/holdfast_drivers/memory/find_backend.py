"""Finding the backend that a configuration names."""

from holdfast.contract.errors import Unavailable
from holdfast.data.in_process_spaces import extent_space
from holdfast_drivers.memory.backend import Backend
from holdfast_drivers.memory.config import MemoryConfig


def backend_of(config: MemoryConfig) -> Backend:
    """The backend of a configuration; ``Unavailable`` when none of that name is in this process."""
    space = extent_space(config.space)
    if not isinstance(space, Backend):
        raise Unavailable(f"space {config.space} is no memory space")
    return space
