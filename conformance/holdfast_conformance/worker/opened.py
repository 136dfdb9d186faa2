"""The drivers and life cycles that a plan works through, opened when first needed."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import cast

import msgspec

from holdfast.contract.identity import ANY_STORE, ExpectedStore
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary
from holdfast_conformance.foreign_texts import described
from holdfast_conformance.plan_limits import DRIVERS_MAX
from holdfast_conformance.trace import CHANGED
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
        self._first: object = None
        """What the open driver declared when it was opened."""
        self._expected = ANY_STORE

    def expect(self, identity: str, name: str) -> None:
        """The store that whatever is opened from now on must be; without an identity it is any."""
        self._expected = ExpectedStore((identity,), name) if identity else ANY_STORE

    @property
    def is_particular(self) -> bool:
        """Whether it must be one store and no other."""
        return self._expected is not ANY_STORE

    async def life_cycle(self) -> LifeCycle:
        """The store's life cycle."""
        if self._life_cycle is None:
            context = open_life_cycle(self._provider, self._config, self._role, self._expected)
            self._life_cycle = await self._stack.enter_async_context(context)
        return self._life_cycle

    async def primary(self) -> PrimaryDriver:
        """The driver of a primary store."""
        if self._primary is None:
            context = open_primary(self._provider, self._config, self._expected)
            self._primary = await self._stack.enter_async_context(context)
            self._first = _read(self._primary)
        return self._primary

    async def image(self) -> ImageDriver:
        """The driver of an image store."""
        if self._image is None:
            context = open_image(self._provider, self._config, self._expected)
            self._image = await self._stack.enter_async_context(context)
            self._first = _read(self._image)
        return self._image

    def changed(self, declared: dict[Role, object] | None, role: Role) -> str:
        """How the driver declares itself otherwise than when it was opened, or than others did.

        Args:
            declared: what the first of all drivers on a store declared, by role; ``None`` where
                there need not be a store yet, which a driver may declare itself by.
            role: the role of this one.
        """
        driver = self._primary or self._image
        if driver is None:
            return ""
        if self._first is None:
            return f"{CHANGED} could not be read when it was opened"
        try:
            now: object = driver.capabilities
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is the driver's
            return f"{CHANGED} cannot be read: {described(problem)}"
        first = self._first if declared is None else declared.setdefault(role, self._first)
        known = first if self._first == now else self._first
        return "" if known == now else f"{CHANGED} changed: {_first_change(known, now)}"

    async def close(self) -> None:
        """Close what is open; what is needed later is opened anew.

        Raises:
            Failed: closing the driver failed.
        """
        stack, self._stack = self._stack, AsyncExitStack()
        self._life_cycle = self._primary = self._image = None
        await self._containment.call(stack.aclose())


def _read(driver: PrimaryDriver | ImageDriver) -> object:
    """What a driver declares; nothing where it cannot say, which is told at the next step."""
    try:
        return driver.capabilities
    except Exception:  # noqa: BLE001 - whatever it is, it is the driver's
        return None


def _first_change(before: object, after: object) -> str:
    """The first field that differs, with both of its values."""
    one, other = (dict(_fields(msgspec.to_builtins(what))) for what in (before, after))
    changed = (name for name in {**one, **other} if one.get(name) != other.get(name))
    name = next(changed, "")
    return f"{name} was {one.get(name)!r}, and is {other.get(name)!r}"


def _fields(document: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every field of a document that is no document itself, by its path."""
    if not isinstance(document, dict):
        yield path, document
        return
    for name, value in cast("dict[str, object]", document).items():
        yield from _fields(value, f"{path}.{name}" if path else name)


_THROUGH: ContextVar[int | None] = ContextVar("through", default=None)
"""The driver that a call which is made at once with others goes through, where it has its own."""


class OpenedDrivers:
    """All drivers of one plan: that of its beginning, and another beside it where a step asks.

    Each has a life cycle of its own, and knows nothing of the other: as in two processes.
    """

    def __init__(
        self,
        provider: Provider,
        config: msgspec.Struct,
        role: Role,
        *,
        containment: Containment,
        declared: dict[Role, object] | None,
    ) -> None:
        self._role = role
        self._containment = containment
        self._declared = declared
        self._stores = tuple(
            OpenedStore(provider, config, role, containment) for _ in range(DRIVERS_MAX)
        )
        self._number = 0

    @property
    def _current(self) -> OpenedStore:
        through = _THROUGH.get()
        return self._stores[self._number if through is None else through]

    def use(self, number: int) -> None:
        """Go on through the driver of this number."""
        self._number = number

    def go_apart(self, place: int) -> None:
        """Have the running task, and no other, go through another driver in every second place."""
        _THROUGH.set((self._number + place) % DRIVERS_MAX)

    async def open_all(self, *, apart: bool, life_cycles: bool) -> None:
        """Open what calls at once need, before any of them begins.

        Raises:
            Failed: opening a driver failed.
        """
        for number, store in enumerate(self._stores):
            if not apart and number != self._number:
                continue
            opening = store.primary if self._role is Role.PRIMARY else store.image
            await self._containment.call(opening())
            if life_cycles:
                await self._containment.call(store.life_cycle())

    @property
    def changed(self) -> str:
        """How an open driver declares itself otherwise than before; else empty."""
        told = (store.changed(self._declared, self._role) for store in self._stores)
        return next(filter(None, told), "")

    async def life_cycle(self) -> LifeCycle:
        """The store's life cycle."""
        return await self._current.life_cycle()

    async def primary(self) -> PrimaryDriver:
        """The driver of a primary store."""
        return await self._current.primary()

    async def image(self) -> ImageDriver:
        """The driver of an image store."""
        return await self._current.image()

    async def close(self) -> None:
        """Close the driver in use; it is opened anew when it is needed.

        Raises:
            Failed: closing it failed.
        """
        await self._current.close()

    def expect(self, identity: str, name: str) -> None:
        """Of which store the driver in use must be, once it is opened anew."""
        self._current.expect(identity, name)

    @property
    def takes_any(self) -> bool:
        """Whether the driver in use takes any store: else it may refuse the one that is there."""
        return not self._current.is_particular

    async def expect_any(self) -> None:
        """Go on with drivers that take any store, where one would not.

        Raises:
            Failed: closing one that would not failed.
        """
        for store in self._stores:
            if store.is_particular:
                await store.close()
                store.expect("", "")

    async def close_all(self) -> None:
        """Close every driver that is open.

        Raises:
            Failed: closing one failed.
        """
        for store in self._stores:
            await store.close()
