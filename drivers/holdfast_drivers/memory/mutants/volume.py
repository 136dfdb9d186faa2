"""Defects in creating, listing and deleting volumes."""

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, InUse, NotFound
from holdfast.contract.requests import CallContext
from holdfast_drivers.memory.backend import Store, Volume
from holdfast_drivers.memory.content import Content
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class ListMissesTheLastVolume(MemoryPrimaryDriver):
    """A list ends one volume early."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        last = max(rows, default="")
        others = {key: row for key, row in rows.items() if key != last}
        return super().page(others, scope, token, limit)


class ListEndsAfterTheFirstPage(MemoryPrimaryDriver):
    """A list of more than one page has no token for the second."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        return super().page(rows, scope, token, limit)[0], ""


class PagesOverlap(MemoryPrimaryDriver):
    """The last volume of a page is the first of the next one, too."""

    def page(
        self, rows: dict[str, Volume], scope: str, token: str, limit: int
    ) -> tuple[list[str], str]:
        keys, following = super().page(rows, scope, token, limit)
        earlier = [key for key in sorted(rows) if keys and key < keys[0]]
        return ([earlier[-1], *keys] if token and earlier else keys), following


class IdIsNewInEveryAnswer(MemoryPrimaryDriver):
    """The id of a volume is another one each time it is reported."""

    def info(self, volume: Volume) -> answers.VolumeInfo:
        return msgspec.structs.replace(super().info(volume), id=runtime().new_id("vol"))


class CreateAgainMakesAnotherVolume(MemoryPrimaryDriver):
    """A repeated create makes a new volume (as sodafoundation/api#578)."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        super().existing_volume(store, request)
        return None


class CreateAgainIsAConflict(MemoryPrimaryDriver):
    """A repeated create is refused although it asks for what is there."""

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        return False


class DeletesAndRecreatesOnConflict(MemoryPrimaryDriver):
    """A taken key costs the volume that has it (as vsphere-csi-driver pull request 3996)."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        volume = store.volumes.get(request.key)
        if volume is not None and not self.compatible(volume, request):
            del store.volumes[request.key]
        return super().existing_volume(store, request)


class AnswersWithWhateverHasTheKey(MemoryPrimaryDriver):
    """A create with another size or source answers with the volume that is there."""

    def compatible(self, volume: Volume, request: requests.CreateVolume) -> bool:
        return True


class ConflictResizesTheVolume(MemoryPrimaryDriver):
    """A taken key is a conflict, after the volume that has it was resized."""

    def existing_volume(
        self, store: Store, request: requests.CreateVolume
    ) -> answers.VolumeInfo | None:
        try:
            return super().existing_volume(store, request)
        except Conflict:
            self.set_size(store.volumes[request.key], self.rounded(request.size_bytes))
            raise


class SecondDeleteFails(MemoryPrimaryDriver):
    """Deleting an absent volume fails (as csi-driver-lvm pull request 45)."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        self.volume(self.store(), request.key)
        return await super().delete_volume(ctx, request)


class DeletesAGrantedVolume(MemoryPrimaryDriver):
    """A volume is deleted under the host that uses it."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        for grant in self.grants_of(store, request.key):
            self.take_back(store, request.key, grant.host)
        return await super().delete_volume(ctx, request)


class RefusedDeleteRevokes(MemoryPrimaryDriver):
    """Deleting a granted volume is refused after its grants were taken away."""

    def refuse_in_use(self, store: Store, key: str) -> None:
        try:
            super().refuse_in_use(store, key)
        except InUse:
            for grant in self.grants_of(store, key):
                self.take_back(store, key, grant.host)
            raise


class DeletedCloneStays(MemoryPrimaryDriver):
    """Deleting a volume that was made from another succeeds and does nothing."""

    def remove_volume(self, store: Store, key: str) -> None:
        if store.volumes[key].source is None:
            super().remove_volume(store, key)


class DeletedVolumeLeavesItsBytes(MemoryPrimaryDriver):
    """A deleted volume's bytes stay under another name (as apache/cloudstack#6482)."""

    def remove_volume(self, store: Store, key: str) -> None:
        row = store.volumes[key]
        super().remove_volume(store, key)
        store.volumes[f"{key}.trash"] = row


class DeleteOfNeverCreatedLeavesATombstone(MemoryPrimaryDriver):
    """Deleting what never was alters the backend (as cloudstack pull request 13111)."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        if request.key not in store.volumes:
            name = f"{request.key}.deleted"
            store.volumes[name] = Volume(name, runtime().new_id("vol"), Content(0), None, "")
        return await super().delete_volume(ctx, request)


class DeleteOfNeverCreatedTakesTheNext(MemoryPrimaryDriver):
    """Deleting what never was deletes the volume that comes after it in the list."""

    async def delete_volume(self, ctx: CallContext, request: requests.DeleteVolume) -> answers.Gone:
        store = self.store()
        after = [key for key in sorted(store.volumes) if key > request.key]
        if request.key not in store.volumes and after:
            store.volumes.pop(after[0])
        return await super().delete_volume(ctx, request)


class NewVolumeCannotBeRead(MemoryPrimaryDriver):
    """A volume made from nothing is reported and not found afterwards."""

    async def get_volume(self, ctx: CallContext, request: requests.GetVolume) -> answers.VolumeInfo:
        volume = self.volume(self.store(), request.key)
        if not volume.content.blocks and volume.source is None:
            raise NotFound("the volume has no data", object=request.key)
        return self.info(volume)


MUTANTS = (
    planted("VOL-01", ListMissesTheLastVolume),
    planted("VOL-01", ListEndsAfterTheFirstPage),
    planted("VOL-01", PagesOverlap),
    planted("VOL-01", NewVolumeCannotBeRead),
    planted("VOL-02", IdIsNewInEveryAnswer),
    planted("VOL-02", CreateAgainMakesAnotherVolume),
    planted("VOL-02", CreateAgainIsAConflict),
    planted("VOL-03", DeletesAndRecreatesOnConflict),
    planted("VOL-03", AnswersWithWhateverHasTheKey),
    planted("VOL-03", ConflictResizesTheVolume),
    planted("VOL-04", SecondDeleteFails),
    planted("VOL-06", DeletesAGrantedVolume),
    planted("VOL-06", RefusedDeleteRevokes),
    planted("VOL-07", DeletedCloneStays),
    planted("VOL-07", DeletedVolumeLeavesItsBytes),
    planted("VOL-08", DeleteOfNeverCreatedLeavesATombstone),
    planted("VOL-08", DeleteOfNeverCreatedTakesTheNext),
)
