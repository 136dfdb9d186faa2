"""Real drivers whose next calls are held or fail as a script says, to have work interrupted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from holdfast.contract.answers import Undetermined
from holdfast.contract.errors import DriverError
from holdfast.contract.ports import ImageDriver, LifeCycle, PrimaryDriver
from holdfast.model.rows import Store
from holdfast.stores.kept_stores import PluginOpener


class Held(msgspec.Struct, frozen=True):
    """The next call of a verb never answers: ``after`` it has acted, or before."""

    verb: str
    after: bool = True


class Refused(msgspec.Struct, frozen=True):
    """The next call of a verb ends with an error: ``after`` it has acted, or before."""

    verb: str
    error: DriverError
    after: bool = False


class Script:
    """What the next calls come to; calls it does not name go through."""

    def __init__(self) -> None:
        self.lines: list[Held | Refused] = []
        self.unclear = False
        """Whether no probe knows anything."""
        self.reached = asyncio.Event()
        """Set when a call is held."""

    def due(self, verb: str) -> Held | Refused | None:
        """The first line, when it is about this verb; it is used up."""
        if self.lines and self.lines[0].verb == verb:
            return self.lines.pop(0)
        return None


class _Driver:
    """Any port, as the script says."""

    def __init__(self, inner: Any, script: Script) -> None:
        self._inner = inner
        self._script = script

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("capabilities", "enumerate"):
            return found

        async def verb(*arguments: Any) -> Any:
            if name == "probe" and self._script.unclear:
                return Undetermined(reason="nobody can be asked")
            line = self._script.due(name)
            if line is not None and not line.after:
                await self._play(line)
            answer = await found(*arguments)
            if line is not None and line.after:
                await self._play(line)
            return answer

        return verb

    async def _play(self, line: Held | Refused) -> None:
        if isinstance(line, Refused):
            raise line.error
        self._script.reached.set()
        await asyncio.Event().wait()


class ScriptedOpener:
    """Opens stores with the installed providers, under a script."""

    def __init__(self, script: Script) -> None:
        self._inner = PluginOpener()
        self._script = script

    @asynccontextmanager
    async def primary(self, store: Store) -> AsyncIterator[PrimaryDriver]:
        async with self._inner.primary(store) as driver:
            wrapped: Any = _Driver(driver, self._script)
            yield wrapped

    @asynccontextmanager
    async def image(self, store: Store) -> AsyncIterator[ImageDriver]:
        async with self._inner.image(store) as driver:
            wrapped: Any = _Driver(driver, self._script)
            yield wrapped

    @asynccontextmanager
    async def life_cycle(self, store: Store) -> AsyncIterator[LifeCycle]:
        async with self._inner.life_cycle(store) as life_cycle:
            wrapped: Any = _Driver(life_cycle, self._script)
            yield wrapped
