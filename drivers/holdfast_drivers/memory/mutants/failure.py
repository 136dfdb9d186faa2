"""Defects in how a driver fails: errors, leftovers, secrets, names, time."""

import asyncio
import logging
import posixpath
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, InUse, NotFound, OutOfRange, Unauthenticated
from holdfast.contract.requests import CallContext, Role
from holdfast_drivers.memory.backend import (
    Backend,
    Granted,
    Snapshot,
    Store,
    StoredObject,
    Upload,
    Volume,
)
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver
from holdfast_drivers.memory.testbed import NEIGHBOUR

_LOG = logging.getLogger(__name__)


class AbsentVolumeIsAKeyError(MemoryPrimaryDriver):
    """An error of the backend reaches the caller as it is (as apache/cloudstack#13331)."""

    def volume(self, store: Store, key: str) -> Volume:
        return store.volumes[key]


class AbsentObjectIsAnAttributeError(MemoryImageDriver):
    """What is absent is used as if it were there."""

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        row: Any = self.store().objects.get(request.key)
        return self.info(row)


class ErrorsHaveNoWords(MemoryPrimaryDriver):
    """A failure says nothing of its cause."""

    def snapshot(self, store: Store, key: str) -> Snapshot:
        if key not in store.snapshots:
            raise NotFound("")
        return store.snapshots[key]


class ErrorsNameAnotherObject(MemoryPrimaryDriver):
    """A failure names another object than the one it is about."""

    def volume(self, store: Store, key: str) -> Volume:
        if key not in store.volumes:
            raise NotFound("there is no volume under this key", object=store.name)
        return store.volumes[key]


class RefusedCloneLeavesAVolume(MemoryPrimaryDriver):
    """A clone that is refused for its size leaves an empty volume (as vsphere-csi#2111)."""

    def check_source_size(self, size_bytes: int, request: requests.CreateVolume) -> None:
        try:
            super().check_source_size(size_bytes, request)
        except OutOfRange:
            store = self.store()
            content = Content(self.rounded(request.size_bytes))
            store.volumes[request.key] = Volume(
                request.key, runtime().new_id("vol"), content, request.source, ""
            )
            raise


class RefusedDetachDetaches(MemoryLifeCycle):
    """Detaching a host with grants is refused, and the host is gone all the same."""

    def refuse_granted(self, store: Store, host: str) -> None:
        try:
            super().refuse_granted(store, host)
        except InUse:
            store.hosts.discard(host)
            raise


class RefusedGrantLeavesAGrant(MemoryPrimaryDriver):
    """A grant in another mode is refused, and the mode is changed all the same."""

    def granted_again(
        self, store: Store, grant: Granted, request: requests.Grant
    ) -> answers.GrantInfo:
        try:
            return super().granted_again(store, grant, request)
        except Conflict:
            grant.mode = request.mode
            raise


class GrantErrorShowsTheSecret(MemoryPrimaryDriver):
    """A refused grant repeats the host's secret (as apache/cloudstack#10339)."""

    def check_exclusive(self, others: list[Granted], request: requests.Grant) -> None:
        try:
            super().check_exclusive(others, request)
        except InUse as error:
            error.cause = f"{error.cause} (login --secret {request.secret})"
            raise


class UnknownHostErrorShowsTheSecret(MemoryPrimaryDriver):
    """A grant to an unknown host repeats its secret in the cause (as apache/cloudstack#13300)."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        try:
            return await super().grant(ctx, request)
        except NotFound as error:
            failed = ValueError(f"grant {request.volume} {request.host} {request.secret}")
            raise NotFound(error.cause, object=error.object) from failed


class GrantLogsTheSecret(MemoryPrimaryDriver):
    """A grant's secret is written to the log (as apache/cloudstack#13309)."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        if request.secret:
            _LOG.warning("granting %s to %s: %s", request.volume, request.host, request.secret)
        return await super().grant(ctx, request)


class GrantIdHoldsTheSecret(MemoryPrimaryDriver):
    """A grant's id, which everybody may see, holds the host's secret."""

    async def grant(self, ctx: CallContext, request: requests.Grant) -> answers.GrantInfo:
        answer = await super().grant(ctx, request)
        return msgspec.structs.replace(answer, id=f"{answer.id}/{request.secret}")


class RefusedTokenIsQuoted(MemoryLifeCycle):
    """A refused credential is repeated in the error (as cloud-provider-openstack#1469)."""

    def check_token(self, backend: Backend) -> None:
        if self.config.token != backend.token:
            raise Unauthenticated(f"token {self.config.token!r} is not {backend.token!r}")


class VolumeKeysAreFoldedToLowerCase(MemoryPrimaryDriver):
    """Keys that differ in case only are one volume."""

    def row_key(self, key: str) -> str:
        return key.lower()


class VolumeKeysAreTruncated(MemoryPrimaryDriver):
    """Keys with the same first 63 characters are one volume."""

    def row_key(self, key: str) -> str:
        return key[:63]


class ObjectKeysArePaths(MemoryImageDriver):
    """A key is taken for a path and normalized, so that two keys become one object."""

    def row_key(self, key: str) -> str:
        return posixpath.normpath(key)


class VolumeKeysLeaveTheNamespace(MemoryPrimaryDriver):
    """A key with ".." in it makes a volume in another namespace."""

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        if ".." in request.key:
            stores = self.backend.stores
            mine = stores[Role.PRIMARY, self.namespace].volumes
            stores[Role.PRIMARY, NEIGHBOUR].volumes[request.key] = mine[request.key]
        return answer


class ObjectKeysLeaveTheNamespace(MemoryImageDriver):
    """A key with ".." in it puts the object into another namespace."""

    def publish(self, store: Store, upload: Upload, stored: StoredObject) -> None:
        super().publish(store, upload, stored)
        if ".." in stored.key:
            self.backend.stores[Role.IMAGE, NEIGHBOUR].objects[stored.key] = stored


class SnapshotAnswersTooLate(MemoryPrimaryDriver):
    """A snapshot is answered after the call's deadline."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        answer = await super().create_snapshot(ctx, request)
        await asyncio.sleep(max(0.0, ctx.deadline - runtime().now()) + 0.2)
        return answer


class ListAnswersTooLate(MemoryImageDriver):
    """A list is answered after the call's deadline."""

    async def list(self, ctx: CallContext, request: requests.ListObjects) -> answers.ObjectPage:
        answer = await super().list(ctx, request)
        await asyncio.sleep(max(0.0, ctx.deadline - runtime().now()) + 0.2)
        return answer


MUTANTS = (
    planted("ERR-01", AbsentVolumeIsAKeyError),
    planted("ERR-01", AbsentObjectIsAnAttributeError),
    planted("ERR-01", ErrorsHaveNoWords),
    planted("ERR-01", ErrorsNameAnotherObject),
    planted("ERR-02", RefusedCloneLeavesAVolume),
    planted("ERR-02", RefusedDetachDetaches),
    planted("ERR-02", RefusedGrantLeavesAGrant),
    planted("SEC-01", GrantErrorShowsTheSecret),
    planted("SEC-01", UnknownHostErrorShowsTheSecret),
    planted("SEC-01", GrantLogsTheSecret),
    planted("SEC-01", GrantIdHoldsTheSecret),
    planted("SEC-01", RefusedTokenIsQuoted),
    planted("SEC-02", VolumeKeysAreFoldedToLowerCase),
    planted("SEC-02", VolumeKeysAreTruncated),
    planted("SEC-02", ObjectKeysArePaths),
    planted("SEC-02", VolumeKeysLeaveTheNamespace),
    planted("SEC-02", ObjectKeysLeaveTheNamespace),
    planted("PRF-01", SnapshotAnswersTooLate),
    planted("PRF-01", ListAnswersTooLate),
)
