"""Defects of drivers that keep truth of their own, which another driver makes stale."""

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import NotFound
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Backend, Granted, Store, StoredObject, Volume
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class _Remembering(MemoryPrimaryDriver):
    """Forgets what it remembers whenever it changes a volume itself."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self.sizes: dict[str, answers.VolumeInfo] = {}
        self.keys: list[str] | None = None

    def forget(self) -> None:
        """Look again from here on."""
        self.sizes.clear()
        self.keys = None

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        self.forget()
        return await super().create_volume(ctx, request)

    async def resize_volume(
        self, ctx: CallContext, request: requests.ResizeVolume
    ) -> answers.VolumeInfo:
        self.forget()
        return await super().resize_volume(ctx, request)

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        self.forget()
        return await super().revert_volume(ctx, request)

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        self.forget()
        return await super().delete_volume(ctx, request)


class VolumesAreRemembered(_Remembering):
    """What was read of a volume is answered again until this driver changes a volume itself."""

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        if request.key not in self.sizes:
            self.sizes[request.key] = await super().get_volume(ctx, request)
        return self.sizes[request.key]


class ListIsRemembered(_Remembering):
    """The keys that were listed are listed again until this driver changes a volume itself."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        if self.keys is None:
            self.keys = list(rows)
        known = {key: rows[key] for key in self.keys if key in rows}
        return super().page(known, scope, token, limit)


class IndexIsReadOnce(MemoryPrimaryDriver):
    """A volume that another driver made is not found: the index was read when this one opened."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._known: set[str] | None = None

    def volume(self, store: Store, key: str) -> Volume:
        if self._known is None:
            self._known = set(store.volumes)
        if self.row_key(key) not in self._known:
            raise NotFound("there is no volume under this key", object=key)
        return super().volume(store, key)

    async def create_volume(
        self, ctx: CallContext, request: requests.CreateVolume
    ) -> answers.VolumeInfo:
        answer = await super().create_volume(ctx, request)
        if self._known is not None:
            self._known.add(self.row_key(request.key))
        return answer


class GrantsAreKeptInTheDriver(MemoryPrimaryDriver):
    """Who may use a volume is known to the driver that granted it, and to no other."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._opened: dict[tuple[str, str], Granted] = {}

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        place = (request.volume, request.host)
        if place not in self._opened:
            self._opened[place] = super().grant_to_open(store, request)
        return self._opened[place]

    def take_back(self, store: Store, volume: str, host: str) -> None:
        super().take_back(store, volume, host)
        self._opened.pop((volume, host), None)


class HoldersAreRemembered(MemoryPrimaryDriver):
    """A volume counts as granted for as long as this driver has not revoked the grants it saw."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._seen: dict[tuple[str, str], Granted] = {}

    def grants_of(self, store: Store, volume: str) -> list[Granted]:
        for row in super().grants_of(store, volume):
            self._seen[row.volume, row.host] = row
        return [row for (name, _), row in self._seen.items() if name == volume]

    def take_back(self, store: Store, volume: str, host: str) -> None:
        super().take_back(store, volume, host)
        self._seen.pop((volume, host), None)


class SnapshotsAreRemembered(MemoryPrimaryDriver):
    """A snapshot that was looked at is there until this driver deletes it itself."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._seen: dict[str, answers.SnapshotInfo] = {}

    async def get_snapshot(
        self, ctx: CallContext, request: requests.GetSnapshot
    ) -> answers.SnapshotInfo:
        if request.key not in self._seen:
            self._seen[request.key] = await super().get_snapshot(ctx, request)
        return self._seen[request.key]

    def remove_snapshot(self, store: Store, key: str) -> None:
        super().remove_snapshot(store, key)
        self._seen.pop(key, None)


class HandlesAreRemembered(MemoryPrimaryDriver):
    """A volume that another driver resized is opened with the size that it had before."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._sizes: dict[str, int] = {}

    async def open(self, ctx: CallContext, request: requests.Open) -> Handle:
        handle = await super().open(ctx, request)
        size_bytes = self._sizes.setdefault(handle_token(handle), handle.size_bytes)
        return msgspec.structs.replace(handle, size_bytes=size_bytes)

    def set_size(self, volume: Volume, size_bytes: int) -> None:
        super().set_size(volume, size_bytes)
        self._sizes.clear()


def handle_token(handle: Handle) -> str:
    """What tells one handle from another."""
    return str(getattr(handle, "token", ""))


class ObjectsAreRemembered(MemoryImageDriver):
    """An object that was looked at is as it was until this driver replaces or deletes it itself."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._seen: dict[str, answers.ObjectInfo] = {}

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        if request.key not in self._seen:
            self._seen[request.key] = await super().head(ctx, request)
        return self._seen[request.key]

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        self._seen.pop(key, None)

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        answer = await super().complete_upload(ctx, request)
        self._seen.pop(answer.key, None)
        return answer


class NamesOfObjectsAreRemembered(MemoryImageDriver):
    """What was listed once is listed again until this driver makes or deletes an object itself."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._rows: list[StoredObject] | None = None

    def names(self, store: Store, request: requests.ListObjects) -> list[tuple[str, bool]]:
        if self._rows is None:
            self._rows = list(store.objects.values())
        there = {row.key for row in self._rows}
        return [
            (name, is_prefix)
            for name, is_prefix in super().names(store, request)
            if is_prefix or name in there
        ]

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, key)
        self._rows = None

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        self._rows = None
        return await super().complete_upload(ctx, request)

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        self._rows = None
        return await super().copy(ctx, request)


class UploadsAreKeptInTheDriver(MemoryImageDriver):
    """An upload that another driver has added to since is not found by the one that began it."""

    def __init__(self, backend: Backend, namespace: str) -> None:
        super().__init__(backend, namespace)
        self._parts: dict[str, int] = {}

    async def upload_part(self, ctx: CallContext, request: requests.UploadPart) -> answers.PartInfo:
        answer = await super().upload_part(ctx, request)
        self._parts[request.upload] = len(self.upload(self.store(), request.upload).parts)
        return answer

    async def complete_upload(
        self, ctx: CallContext, request: requests.CompleteUpload
    ) -> answers.ObjectInfo:
        upload = self.store().uploads.get(request.upload)
        if upload and len(upload.parts) > self._parts.get(request.upload, len(upload.parts)):
            raise NotFound("there is no open upload under this key", object=request.upload)
        return await super().complete_upload(ctx, request)


MUTANTS = (
    planted("CON-09", VolumesAreRemembered),
    planted("CON-09", ListIsRemembered),
    planted("CON-09", IndexIsReadOnce),
    planted("CON-09", GrantsAreKeptInTheDriver),
    planted("CON-09", HoldersAreRemembered),
    planted("CON-09", SnapshotsAreRemembered),
    planted("CON-09", HandlesAreRemembered),
    planted("CON-09", ObjectsAreRemembered),
    planted("CON-09", NamesOfObjectsAreRemembered),
    planted("CON-09", UploadsAreKeptInTheDriver),
)
