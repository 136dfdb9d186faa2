"""Volumes and snapshots as files, here and on storage hosts (nfs, iscsi). Blocking functions."""

import contextlib
import fcntl
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from holdfast.contract import answers, requests
from holdfast.contract.errors import Conflict, Corrupt, Invalid, NotFound, OutOfRange
from holdfast.data.disk_images import ImageFormat
from holdfast.files import mutations
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.local import disks
from holdfast_drivers.local.config import BLOCK_BYTES
from holdfast_drivers.local.disks import DiskRow, OpenDisk
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.folder_usage import figures_of
from holdfast_drivers.local.grants import GrantKeeper, Grants
from holdfast_drivers.local.keyed_folders import Shelf, Unreadable
from holdfast_drivers.local.locks import Lock, LockKind, Locks
from holdfast_drivers.local.promises import Promises
from holdfast_drivers.local.store_folder import Place

D = TypeVar("D", bound=DiskRow)


class VolumeRow(DiskRow, frozen=True, kw_only=True):
    """What is recorded of a volume; ``reverted`` is the operation of the latest revert."""

    source: requests.Source | None = None
    reverted: str = ""


class SnapshotRow(DiskRow, frozen=True, kw_only=True):
    """What is recorded of a snapshot; its file is never written again."""

    volume: str


class Volumes:
    """The volumes and snapshots of one store.

    Args:
        place: the store's folder.
        keeper: what grants are made of.
        form: of new volumes; what is made of something else has the format of that.
    """

    def __init__(
        self,
        place: Place,
        keeper: GrantKeeper | None = None,
        form: ImageFormat = ImageFormat.RAW,
    ) -> None:
        self.place = place
        self._form = form
        self.volumes = Shelf(place, LockKind.VOLUME, VolumeRow)
        self.snapshots = Shelf(place, LockKind.SNAPSHOT, SnapshotRow)
        self.grants = Grants(place, keeper)
        self._promises = Promises(place, self.promised_bytes)

    # What is there

    def info(self, row: VolumeRow) -> answers.VolumeInfo:
        """What is reported of a volume."""
        match row.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                source = key
            case _:
                source = ""
        size_bytes = disks.size_of(row, self.volumes.data(row))
        return answers.VolumeInfo(key=row.key, id=row.id, size_bytes=size_bytes, source=source)

    def snapshot_info(self, row: SnapshotRow) -> answers.SnapshotInfo:
        """What is reported of a snapshot."""
        size_bytes = disks.size_of(row, self.snapshots.data(row))
        return answers.SnapshotInfo(
            key=row.key, id=row.id, volume=row.volume, size_bytes=size_bytes
        )

    def get(self, request: requests.GetVolume) -> answers.VolumeInfo:
        """The volume under a key."""
        self.place.row()
        return self.volumes.describe(request.key, self.info)

    def get_snapshot(self, request: requests.GetSnapshot) -> answers.SnapshotInfo:
        """The snapshot under a key."""
        self.place.row()
        return self.snapshots.describe(request.key, self.snapshot_info)

    def promised_bytes(self) -> int:
        """The sizes of all volumes and snapshots, of what is left of unreadable ones too."""
        return self._sizes(self.volumes) + self._sizes(self.snapshots)

    def _sizes(self, shelf: Shelf[D]) -> int:
        sizes = shelf.survey(lambda row: disks.size_of(row, shelf.data(row)))
        return sum(shelf.left_bytes(one) if isinstance(one, Unreadable) else one for one in sizes)

    def figures(self) -> Iterator[answers.StatsInfo]:
        """Those of each volume and snapshot; what goes meanwhile is left out."""
        volumes, snapshots = self.volumes, self.snapshots
        yield from volumes.describe_all(volumes.all_keys(), self.volume_figures)
        yield from snapshots.describe_all(
            snapshots.all_keys(), lambda row: _figures(row, snapshots.data(row))
        )

    def volume_figures(self, row: VolumeRow) -> answers.StatsInfo:
        """What one volume is, and what it occupies."""
        return _figures(row, self.volumes.data(row))

    # Volumes

    def create(
        self, request: requests.CreateVolume, operation: str, fresh: str, fence: int
    ) -> answers.VolumeInfo:
        """Create a volume, empty or from a source; ``fresh`` is its id."""
        size_bytes = rounded(request.size_bytes)
        with contextlib.ExitStack() as stack:
            locks: list[Lock] = []
            match request.source:
                case requests.SnapshotSource(key):
                    locks.append(self.snapshots.lock(key, shared=True))
                case requests.VolumeSource(key) if key != request.key:
                    locks.append(self.volumes.lock(key, shared=True))
                case _:
                    pass
            held = stack.enter_context(self.volumes.acting(fence, request.key, *locks))
            self.place.allocating()
            earlier_row = self.volumes.find(request.key)
            if earlier_row is not None:
                return self._again(earlier_row, request, size_bytes)
            source = stack.enter_context(self._source(held, fence, request.source))
            if source is not None and source.size_bytes > size_bytes:
                raise OutOfRange(
                    f"the source has {source.size_bytes} bytes, the new volume {size_bytes}",
                    object=request.key,
                )
            self._promises.take(held, size_bytes)
            form = self._form if source is None else source.format
            row = VolumeRow(
                key=request.key,
                id=fresh,
                source=request.source,
                operation=operation,
                fence=fence,
                # A program that outlives a killed call must not find the file of the next one.
                data="data" if form is ImageFormat.RAW else f"data.{fresh}",
                format=form,
                size_bytes=disks.size_to_record(form, size_bytes),
            )
            self.volumes.put(request.key, lambda new: _filled(new, row, source, size_bytes))
            return self.info(row)

    def _again(
        self, row: VolumeRow, request: requests.CreateVolume, size_bytes: int
    ) -> answers.VolumeInfo:
        info = self.volumes.describe(request.key, self.info)
        if info.size_bytes != size_bytes or row.source != request.source:
            raise Conflict("the key is taken by another volume", object=request.key)
        self.volumes.purge(request.key)
        return info

    @contextlib.contextmanager
    def _source(
        self, held: Locks, fence: int, source: requests.Source | None
    ) -> Iterator[OpenDisk | None]:
        match source:
            case None:
                yield None
            case requests.SnapshotSource(key):
                snapshot = self.snapshots.get(key)
                with disks.reading(snapshot, self.snapshots.data(snapshot)) as disk:
                    yield disk
            case requests.VolumeSource(key):
                volume = self.volumes.get(key)
                self.volumes.refuse_late(held, fence, volume)
                with quiet(volume, self.volumes.data(volume)) as file:
                    yield disks.opened(volume, file)
            case requests.DataSource():
                raise Invalid("this store creates no volumes from data")

    def delete(self, request: requests.DeleteVolume, fence: int) -> answers.Gone:
        """Delete a volume that nobody uses; its snapshots and clones do not need it."""
        with self.volumes.acting(fence, request.key, frees=True) as held:
            self.place.row()
            self.grants.refuse_in_use(request.key)
            self.grants.purge(request.key)
            self._promises.give(held, self.volumes.size_of(request.key, disks.size_of))
            self.volumes.remove(request.key)
            return answers.Gone(key=request.key)

    def resize(self, request: requests.ResizeVolume, fresh: str, fence: int) -> answers.VolumeInfo:
        """Give a volume another size; ``fresh`` names the new file where one is made."""
        with self.volumes.acting(fence, request.key, frees=request.shrink) as held:
            self.place.row()
            row = self.volumes.get(request.key)
            self.volumes.purge(request.key)
            size_bytes = rounded(request.size_bytes)
            now_bytes = self.volumes.describe(row.key, self.info).size_bytes
            changes = size_bytes > now_bytes or (request.shrink and size_bytes < now_bytes)
            if changes:
                self.grants.refuse_in_use(request.key)
                if size_bytes > now_bytes:
                    self.place.allocating()
                self._promises.take(held, size_bytes - now_bytes)
            if changes and row.size_bytes is not None:
                return self.info(self._grown(row, size_bytes, fresh, fence))
            with mutations.open_existing(self.volumes.data(row), writable=True) as file:
                if changes:
                    mutations.truncate(file, size_bytes)
                with after_the_fact(row.key):
                    mutations.fsync_file(file)
            return self.info(row)

    def _grown(self, row: VolumeRow, size_bytes: int, fresh: str, fence: int) -> VolumeRow:
        """A qcow2 image grows as a copy that shares its blocks, and takes its place at once."""
        changed = msgspec.structs.replace(
            row, data=f"data.{fresh}", size_bytes=size_bytes, fence=max(fence, row.fence)
        )
        with disks.reading(row, self.volumes.data(row)) as source:
            return self._replace_data(row, changed, source, size_bytes)

    def revert(
        self, request: requests.RevertVolume, operation: str, fresh: str, fence: int
    ) -> answers.VolumeInfo:
        """Give a volume the bytes and the size of its snapshot; ``fresh`` names the new file."""
        source_lock = self.snapshots.lock(request.snapshot, shared=True)
        with self.volumes.acting(fence, request.key, source_lock) as held:
            self.place.row()
            row = self.volumes.get(request.key)
            snapshot = self.snapshots.get(request.snapshot)
            if snapshot.volume != row.key:
                raise Invalid(
                    f"snapshot {request.snapshot!r} is of volume {snapshot.volume!r}",
                    object=request.key,
                )
            self.grants.refuse_in_use(request.key)
            with disks.reading(snapshot, self.snapshots.data(snapshot)) as source:
                self._promises.take(held, source.size_bytes - self.info(row).size_bytes)
                changed = msgspec.structs.replace(
                    row,
                    data=f"data.{fresh}",
                    reverted=operation,
                    fence=max(fence, row.fence),
                    format=snapshot.format,
                    size_bytes=snapshot.size_bytes,
                )
                return self.info(self._replace_data(row, changed, source, source.size_bytes))

    def _replace_data(
        self, row: VolumeRow, changed: VolumeRow, source: OpenDisk, size_bytes: int
    ) -> VolumeRow:
        staged = self.volumes.stage(row.key)
        try:
            _filled(staged, changed, source, size_bytes)
            old = self.volumes.data(row)
            mutations.publish(staged / changed.data, self.volumes.data(changed))
            self.volumes.replace_row(row.key, changed)
        except BaseException:
            self.volumes.purge(row.key)
            raise
        with after_the_fact(row.key):
            mutations.unlink(old)
            mutations.fsync_directory(old.parent)
        return changed

    # Snapshots

    def create_snapshot(
        self, request: requests.CreateSnapshot, operation: str, fresh: str, fence: int
    ) -> answers.SnapshotInfo:
        """Keep a volume's bytes as they are; whoever writes waits until they are kept."""
        volume_lock = self.volumes.lock(request.volume, shared=True)
        with self.snapshots.acting(fence, request.key, volume_lock) as held:
            self.place.allocating()
            earlier_row = self.snapshots.find(request.key)
            if earlier_row is not None:
                return self._same_snapshot(earlier_row, request)
            volume = self.volumes.get(request.volume)
            self.volumes.refuse_late(held, fence, volume)
            row = SnapshotRow(
                key=request.key,
                id=fresh,
                volume=request.volume,
                operation=operation,
                fence=fence,
                format=volume.format,
                size_bytes=volume.size_bytes,
            )
            self._keep_bytes(held, volume, row)
            return self.snapshot_info(row)

    def _same_snapshot(
        self, row: SnapshotRow, request: requests.CreateSnapshot
    ) -> answers.SnapshotInfo:
        if row.volume != request.volume:
            raise Conflict(
                f"the key is taken by a snapshot of volume {row.volume!r}", object=request.key
            )
        self.snapshots.purge(request.key)
        return self.snapshots.describe(request.key, self.snapshot_info)

    def _keep_bytes(self, held: Locks, volume: VolumeRow, row: SnapshotRow) -> None:
        # Until the copy is whole, or it would have one half of a write that is under way.
        with quiet(volume, self.volumes.data(volume)) as file:
            source = disks.opened(volume, file)
            size_bytes = source.size_bytes
            self._promises.take(held, size_bytes)
            self.snapshots.put(row.key, lambda new: _filled(new, row, source, size_bytes))

    def delete_snapshot(self, request: requests.DeleteSnapshot, fence: int) -> answers.Gone:
        """Delete a snapshot; nothing else needs it."""
        with self.snapshots.acting(fence, request.key, frees=True) as held:
            self.place.row()
            self._promises.give(held, self.snapshots.size_of(request.key, disks.size_of))
            self.snapshots.remove(request.key)
            return answers.Gone(key=request.key)

    # Access

    def grant(
        self, request: requests.Grant, operation: str, fresh: str, fence: int
    ) -> answers.GrantInfo:
        """Let an attached host use a volume; ``fresh`` is the grant's id."""
        with self.volumes.acting(fence, request.volume):
            store = self.place.allocating()
            row = self.volumes.get(request.volume)
            data = self.volumes.data(row)
            disks.check(row, data)
            return self.grants.grant(store, request, data, operation=operation, fresh=fresh)

    def revoke(self, request: requests.Revoke, fence: int) -> answers.Gone:
        """Take a grant back; when this returns no call under it is at work any more."""
        with self.volumes.acting(fence, request.volume, frees=True):
            self.place.row()
            self.grants.revoke(request.volume, request.host)
            # Also where the grant is gone already: a killed call may not have waited.
            with after_the_fact(request.volume), self._data_for_quiet(request.volume) as file:
                if file is not None:
                    fcntl.flock(file.fd, fcntl.LOCK_EX)
            return answers.Gone(key=request.volume)

    def is_quiet(self, volume: str) -> bool:
        """Whether nobody is in the middle of a call to a volume; so it is where there is none."""
        with self._data_for_quiet(volume) as file:
            if file is not None:
                try:
                    fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
        return True

    @contextlib.contextmanager
    def _data_for_quiet(self, volume: str) -> Iterator[mutations.OpenFile | None]:
        """A volume's file; ``None`` where there is none to wait for, absent or lost."""
        with contextlib.ExitStack() as stack:
            file: mutations.OpenFile | None = None
            with contextlib.suppress(NotFound, Corrupt, FileNotFoundError, Strange):
                path = self.volumes.data(self.volumes.get(volume))
                file = stack.enter_context(mutations.open_existing(path))
            yield file


def rounded(size_bytes: int) -> int:
    """A size rounded up to whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


@contextlib.contextmanager
def quiet(row: DiskRow, path: TreePath) -> Iterator[mutations.OpenFile]:
    """A volume's file while nobody else is in the middle of a call to it."""
    with disks.existing(path, row.key) as file:
        fcntl.flock(file.fd, fcntl.LOCK_EX)
        yield file


def _filled(folder: TreePath, row: D, source: OpenDisk | None, size_bytes: int) -> D:
    disks.fill(folder / row.data, row, source, size_bytes)
    return row


def _figures(row: DiskRow, path: TreePath) -> answers.StatsInfo:
    return figures_of(path.regular(), row.size_bytes)
