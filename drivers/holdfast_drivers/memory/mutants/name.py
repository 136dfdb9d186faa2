"""Defects in keys: cut, folded, decoded, normalised, or taken for patterns, paths and prefixes."""

import fnmatch
import posixpath
import re
import unicodedata
from urllib.parse import unquote, unquote_plus

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.handles import Handle
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Granted, Store, StoredObject, Upload
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.lifecycle import MemoryLifeCycle
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver

_COLUMN = 64
_LONGEST_TARGET = 100


class SnapshotKeysAreCutAt64(MemoryPrimaryDriver):
    """A snapshot is looked for by as much of its key as its column holds."""

    def existing_snapshot(
        self, store: Store, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo | None:
        head = request.key[:_COLUMN]
        alike = next((key for key in store.snapshots if key[:_COLUMN] == head), request.key)
        return super().existing_snapshot(store, msgspec.structs.replace(request, key=alike))


class SnapshotDeleteKnowsWildcards(MemoryPrimaryDriver):
    """Snapshots are deleted where their keys are ``LIKE`` the one that was named."""

    def remove_snapshot(self, store: Store, key: str) -> None:
        pattern = re.escape(key).replace("_", ".").replace("%", ".*")
        for other in [row for row in store.snapshots if re.fullmatch(pattern, row, re.DOTALL)]:
            super().remove_snapshot(store, other)


class SnapshotsOfVolumesInNormalForm(MemoryPrimaryDriver):
    """The volume of a new snapshot is looked for by its composed name first."""

    async def create_snapshot(
        self, ctx: CallContext, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        composed = unicodedata.normalize("NFC", request.volume)
        if composed in self.store().volumes:
            request = msgspec.structs.replace(request, volume=composed)
        return await super().create_snapshot(ctx, request)


class RevertDecodesItsSnapshot(MemoryPrimaryDriver):
    """The snapshot to return to is taken from an address, and decoded once too often."""

    async def revert_volume(
        self, ctx: CallContext, request: requests.RevertVolume
    ) -> answers.VolumeInfo:
        decoded = unquote(request.snapshot)
        if decoded in self.store().snapshots:
            request = msgspec.structs.replace(request, snapshot=decoded)
        return await super().revert_volume(ctx, request)


class VolumesBelowADeletedOneGoAlong(MemoryPrimaryDriver):
    """A deleted volume is removed with all that looks as if it were inside of it."""

    def remove_volume(self, store: Store, key: str) -> None:
        super().remove_volume(store, key)
        for other in [row for row in store.volumes if row.startswith(f"{key}/")]:
            super().remove_volume(store, other)


class CloneKeysLoseTheirTrailingBlanks(MemoryPrimaryDriver):
    """The key of a volume made from another one is trimmed on its right."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        trimmed = request.key.rstrip() if request.source is not None else request.key
        known = trimmed if self.row_key(trimmed) in store.volumes else request.key
        return super().existing_volume(store, msgspec.structs.replace(request, key=known))


class HostsAreFoldedToLowerCase(MemoryLifeCycle):
    """A host that differs in case only is one that is attached already."""

    async def attach(self, ctx: CallContext, request: requests.AttachHost) -> answers.StoreInfo:
        folded = {host.casefold(): host for host in self.store(self.backend()).hosts}
        known = folded.get(request.host.casefold(), request.host)
        return await super().attach(ctx, msgspec.structs.replace(request, host=known))


class HostsAreTrimmed(MemoryLifeCycle):
    """A host that is detached is looked for without the blanks and dots around its name."""

    async def detach(self, ctx: CallContext, request: requests.DetachHost) -> answers.StoreInfo:
        trimmed = request.host.strip(" .")
        return await super().detach(ctx, msgspec.structs.replace(request, host=trimmed))


class GrantsAreKeptUnderJoinedNames(MemoryPrimaryDriver):
    """A grant is found by volume and host with a slash between, wherever that slash is from."""

    def grant_to_open(self, store: Store, request: requests.Open) -> Granted:
        joined = f"{request.volume}/{request.host}"
        for (volume, host), grant in store.grants.items():
            if f"{volume}/{host}" == joined:
                return grant
        return super().grant_to_open(store, request)


class UploadKeysAreFoldedToLowerCase(MemoryImageDriver):
    """Parts go to the first upload whose key differs in case only."""

    def upload(self, store: Store, key: str) -> Upload:
        folded = key.casefold()
        alike = next((name for name in store.uploads if name.casefold() == folded), key)
        return super().upload(store, alike)


class AbortTakesItsKeyForAPattern(MemoryImageDriver):
    """An upload's parts are removed by a pattern that its key is put into as it is."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        store = self.store()
        for name in [name for name in store.uploads if fnmatch.fnmatchcase(name, request.upload)]:
            del store.uploads[name]
        return answer


class AbortTakesItsKeyForAPrefix(MemoryImageDriver):
    """All uploads go whose keys begin like the one that is aborted."""

    async def abort_upload(self, ctx: CallContext, request: requests.AbortUpload) -> answers.Gone:
        answer = await super().abort_upload(ctx, request)
        store = self.store()
        for name in [name for name in store.uploads if name.startswith(request.upload)]:
            del store.uploads[name]
        return answer


class DeleteDecodesItsObject(MemoryImageDriver):
    """The key of an object that is deleted is decoded, so that ``%2F`` becomes a slash."""

    def remove(self, store: Store, key: str) -> None:
        super().remove(store, unquote(key))


class HeadTakesPlusForABlank(MemoryImageDriver):
    """What is known of an object is asked for in a form, where a plus stands for a blank."""

    async def head(self, ctx: CallContext, request: requests.HeadObject) -> answers.ObjectInfo:
        meant = unquote_plus(request.key) if "%" not in request.key else request.key
        return await super().head(ctx, msgspec.structs.replace(request, key=meant))


class ObjectsAreKeptInNormalForm(MemoryImageDriver):
    """Objects are kept under the composed form of their keys, as some file systems do."""

    def row_key(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)


class ObjectKeysLoseTrailingBlanks(MemoryImageDriver):
    """Blanks and dots at the end of an object's key are dropped, as some file systems do."""

    def row_key(self, key: str) -> str:
        return key.rstrip(" .") or key


class ControlCharactersAreDropped(MemoryImageDriver):
    """Characters that XML has no room for vanish from the keys of objects."""

    def row_key(self, key: str) -> str:
        return "".join(letter for letter in key if letter >= " " or letter in "\t\n\r") or key


class OpenObjectNormalizesPaths(MemoryImageDriver):
    """The object to open is found by the shortest path to it."""

    async def open_object(self, ctx: CallContext, request: requests.OpenObject) -> Handle:
        shortest = posixpath.normpath(request.key)
        if self.row_key(shortest) in self.store().objects:
            request = msgspec.structs.replace(request, key=shortest)
        return await super().open_object(ctx, request)


class CopyTargetsAreCut(MemoryImageDriver):
    """The target's key is cut at a hundred bytes."""

    def duplicate(self, source: StoredObject, target: str, operation: str) -> StoredObject:
        cut = target.encode()[:_LONGEST_TARGET].decode(errors="ignore")
        return super().duplicate(source, cut, operation)


class CopySourcesAreDecoded(MemoryImageDriver):
    """The source's key goes into a header as it is, and is decoded at the other end."""

    async def copy(self, ctx: CallContext, request: requests.CopyObject) -> answers.ObjectInfo:
        decoded = unquote(request.key)
        return await super().copy(ctx, msgspec.structs.replace(request, key=decoded))


MUTANTS = (
    planted("SEC-02", SnapshotKeysAreCutAt64),
    planted("SEC-02", SnapshotDeleteKnowsWildcards),
    planted("SEC-02", SnapshotsOfVolumesInNormalForm),
    planted("SEC-02", RevertDecodesItsSnapshot),
    planted("SEC-02", VolumesBelowADeletedOneGoAlong),
    planted("SEC-02", CloneKeysLoseTheirTrailingBlanks),
    planted("SEC-02", HostsAreFoldedToLowerCase),
    planted("SEC-02", HostsAreTrimmed),
    planted("SEC-02", GrantsAreKeptUnderJoinedNames),
    planted("SEC-02", UploadKeysAreFoldedToLowerCase),
    planted("SEC-02", AbortTakesItsKeyForAPattern),
    planted("SEC-02", AbortTakesItsKeyForAPrefix),
    planted("SEC-02", DeleteDecodesItsObject),
    planted("SEC-02", HeadTakesPlusForABlank),
    planted("SEC-02", ObjectsAreKeptInNormalForm),
    planted("SEC-02", ObjectKeysLoseTrailingBlanks),
    planted("SEC-02", ControlCharactersAreDropped),
    planted("SEC-02", OpenObjectNormalizesPaths),
    planted("SEC-02", CopyTargetsAreCut),
    planted("SEC-02", CopySourcesAreDecoded),
)
