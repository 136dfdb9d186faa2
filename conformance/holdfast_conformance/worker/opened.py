"""The driver and the life cycle that a plan works through, opened when first needed."""

from contextlib import AsyncExitStack

import msgspec

from holdfast.opening import open_image, open_life_cycle, open_primary
from holdfast.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.requests import Role
from holdfast_conformance.worker.containment import Containment


class OpenedStore:
    """One store's guarded driver and life cycle.

    Both are opened late, because a plan may begin before there is a store, and because a driver
    that cannot be opened is that step's outcome.
    """

    def __init__(
        self, provider: Provider, config: msgspec.Struct, role: Role, containment: Containment
    ) -> None:
        self._provider = provider
        self._config = config
        self._role = role
        self._containment = containment
        self._stack = AsyncExitStack()
        self._life_cycle: LifeCycle | None = None
        self._primary: PrimaryDriver | None = None
        self._image: ImageDriver | None = None

    async def life_cycle(self) -> LifeCycle:
        """The store's life cycle."""
        if self._life_cycle is None:
            context = open_life_cycle(self._provider, self._config, self._role)
            self._life_cycle = await self._stack.enter_async_context(context)
        return self._life_cycle

    async def primary(self) -> PrimaryDriver:
        """The driver of a primary store."""
        if self._primary is None:
            context = open_primary(self._provider, self._config)
            self._primary = await self._stack.enter_async_context(context)
        return self._primary

    async def image(self) -> ImageDriver:
        """The driver of an image store."""
        if self._image is None:
            context = open_image(self._provider, self._config)
            self._image = await self._stack.enter_async_context(context)
        return self._image

    async def close(self) -> None:
        """Close what is open; what is needed later is opened anew.

        Raises:
            Failed: closing the driver failed.
        """
        stack, self._stack = self._stack, AsyncExitStack()
        self._life_cycle = self._primary = self._image = None
        await self._containment.call(stack.aclose())
