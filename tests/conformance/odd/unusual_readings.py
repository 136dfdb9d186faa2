"""Primary stores that read otherwise what the contract leaves open, and are right."""

from typing import Any

import msgspec
from declared_memory import DeclaredDriver, DeclaredLifeCycle, DeclaredPrimary

from holdfast.contract import answers, requests
from holdfast.contract.capabilities import (
    DeleteInUse,
    PrimaryCapabilities,
)
from holdfast.contract.requests import CallContext
from holdfast.data import BLOCK_BYTES
from holdfast_drivers.memory.backend import Store
from holdfast_drivers.memory.config import PRIMARY_CAPABILITIES
from holdfast_drivers.memory.content import Content

_USUAL = PRIMARY_CAPABILITIES
_MIB = 1 << 20
_GIB = 1 << 30


def _but(**parts: Any) -> PrimaryCapabilities:
    """What the reference driver declares, but for these parts."""
    return msgspec.structs.replace(_USUAL, **parts)


def _volume(**limits: Any) -> PrimaryCapabilities:
    return _but(volume=msgspec.structs.replace(_USUAL.volume, **limits))


class _GrowsInMaintenance(DeclaredDriver):
    """Growing is no allocation, and who asks again for what is there gets it at rest, too."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        existing = self.existing_volume(self.store(), request)
        return existing or await super().create_volume(ctx, request)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        if self.rounded(request.size_bytes) > volume.content.size_bytes:
            volume.content.resize(self.rounded(request.size_bytes))
        return await super().resize_volume(ctx, request)

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        grant = self.store().grants.get((request.volume, request.host))
        if grant is not None:
            return self.granted_again(self.store(), grant, request)
        return await super().grant(ctx, request)


class _KeepsItsHosts(DeclaredLifeCycle):
    """A store is in use as long as a host is attached."""

    def holders(self, store: Store) -> tuple[str, ...]:
        return (*super().holders(store), *sorted(store.hosts))


class OtherReadings(DeclaredPrimary):
    primary_type = _GrowsInMaintenance
    life_cycle_type = _KeepsItsHosts


class _Cautious(DeclaredDriver):
    """What callers guard is refused all the same."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        self.refuse_in_use(self.store(), request.key)
        return await super().delete_volume(ctx, request)


class CallersGuardTwice(DeclaredPrimary):
    declared = _volume(delete_in_use=DeleteInUse.CALLER_GUARDS)
    primary_type = _Cautious


class _NotZeroed(DeclaredDriver):
    """A new volume shows what was there before it."""

    async def first_content(self, store: Store, request: requests.CreateVolume) -> Content:
        content = await super().first_content(store, request)
        if request.source is None:
            leftover = b"left by somebody else".ljust(BLOCK_BYTES, b".")
            for number in range(0, min(content.size_bytes // BLOCK_BYTES, 64), 3):
                content.write(number * BLOCK_BYTES, leftover)
        return content


class NotZeroed(DeclaredPrimary):
    declared = _volume(zeroes_new=False)
    primary_type = _NotZeroed


UNUSUAL = tuple(
    name
    for name, kind in list(globals().items())
    if isinstance(kind, type) and issubclass(kind, DeclaredPrimary) and kind is not DeclaredPrimary
)
