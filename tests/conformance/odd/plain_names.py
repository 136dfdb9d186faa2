"""A primary store in memory that takes plain names only, and hosts that it was told of."""

import re
from typing import Any

from holdfast.contract.errors import Invalid
from holdfast.contract.requests import Role
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.provider import MemoryProvider

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_VERBS = (
    "create_volume",
    "get_volume",
    "delete_volume",
    "resize_volume",
    "revert_volume",
    "create_snapshot",
    "get_snapshot",
    "delete_snapshot",
    "grant",
    "revoke",
    "open",
)


def _checked(verb: str) -> Any:
    async def call(self: Any, ctx: Any, request: Any) -> Any:
        for field in ("key", "volume", "host", "snapshot"):
            name = getattr(request, field, "host-a")
            if not _PLAIN.match(name):
                raise Invalid("this store takes plain names only", object=name)
        return await getattr(MemoryPrimaryDriver, verb)(self, ctx, request)

    return call


PlainNamesDriver: Any = type(
    "PlainNamesDriver", (MemoryPrimaryDriver,), {verb: _checked(verb) for verb in _VERBS}
)


class PlainHosts(MemoryLifeCycle):
    async def attach(self, ctx: Any, request: Any) -> Any:
        if request.host not in ("host-a", "host-b", "host-c"):
            raise Invalid("nobody told of this host", object=request.host)
        return await super().attach(ctx, request)


class PlainNamesProvider(MemoryProvider):
    roles = (Role.PRIMARY,)
    primary_type = PlainNamesDriver
    life_cycle_type = PlainHosts
