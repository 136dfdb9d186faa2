"""Volumes as sparse raw files: create, clone, resize, revert, delete. Blocking functions."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast import files, infos, requests
from holdfast.data.sparse import clone_or_copy
from holdfast.errors import Conflict, Corrupt, Exhausted, Invalid, NotFound, OutOfRange
from holdfast_drivers.local.config import BLOCK_BYTES
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.grants import GrantKeeper, Grants
from holdfast_drivers.local.locks import LockKind, Locks
from holdfast_drivers.local.place import Place
from holdfast_drivers.local.shelf import R, Row, Shelf


class VolumeRow(Row, frozen=True, kw_only=True):
    """What is recorded of a volume; its size is that of its file.

    ``reverted`` is the operation of the latest revert.
    """

    source: requests.Source | None = None
    reverted: str = ""


class SnapshotRow(Row, frozen=True, kw_only=True):
    """What is recorded of a snapshot; its file is never written again."""

    volume: str


class Volumes:
    """The volumes and snapshots of one store; ``keeper`` is what grants are made of."""

    def __init__(self, place: Place, keeper: GrantKeeper | None = None) -> None:
        self.place = place
        self.volumes = Shelf(place, LockKind.VOLUME, VolumeRow)
        self.snapshots = Shelf(place, LockKind.SNAPSHOT, SnapshotRow)
        self.grants = Grants(place, keeper)

    # What is there

    def info(self, row: VolumeRow) -> infos.VolumeInfo:
        """What is reported of a volume."""
        match row.source:
            case requests.SnapshotSource(key) | requests.VolumeSource(key):
                source = key
            case _:
                source = ""
        size_bytes = self.volumes.data(row).stat().st_size
        return infos.VolumeInfo(key=row.key, id=row.id, size_bytes=size_bytes, source=source)

    def snapshot_info(self, row: SnapshotRow) -> infos.SnapshotInfo:
        """What is reported of a snapshot."""
        size_bytes = self.snapshots.data(row).stat().st_size
        return infos.SnapshotInfo(key=row.key, id=row.id, volume=row.volume, size_bytes=size_bytes)

    def get(self, request: requests.GetVolume) -> infos.VolumeInfo:
        """The volume under a key."""
        self.place.row()
        return self.volumes.describe(request.key, self.info)

    def get_snapshot(self, request: requests.GetSnapshot) -> infos.SnapshotInfo:
        """The snapshot under a key."""
        self.place.row()
        return self.snapshots.describe(request.key, self.snapshot_info)

    def promised_bytes(self) -> int:
        """The sizes of all volumes and snapshots together."""
        return sum(status.st_size for status in self.statuses())

    def statuses(self) -> Iterator[os.stat_result]:
        """What the system says of the file of each volume and snapshot."""
        yield from self.volumes.statuses()
        yield from self.snapshots.statuses()

    def _promise(self, held: Locks, more_bytes: int) -> None:
        """Refuse what the store's capacity does not allow; the promise is kept by ``held``."""
        capacity = self.place.capacity_bytes
        if capacity is None:
            return
        held.take_space()
        promised = self.promised_bytes()
        if promised + more_bytes > capacity:
            raise Exhausted(
                f"{promised} of {capacity} bytes are promised; {more_bytes} more do not fit"
            )

    # Volumes

    def create(
        self, request: requests.CreateVolume, operation: str, fresh: str
    ) -> infos.VolumeInfo:
        """Create a volume, empty or from a source; ``fresh`` is its id."""
        size_bytes = rounded(request.size_bytes)
        with contextlib.ExitStack() as stack:
            locks = [self.volumes.lock(request.key)]
            match request.source:
                case requests.SnapshotSource(key):
                    locks.append(self.snapshots.lock(key, shared=True))
                case requests.VolumeSource(key) if key != request.key:
                    locks.append(self.volumes.lock(key, shared=True))
                case _:
                    pass
            held = stack.enter_context(self.place.locked(*locks))
            self.place.allocating()
            found = self.volumes.find(request.key)
            if found is not None:
                return self._again(found, request, size_bytes)
            source = stack.enter_context(self._source(request.source))
            if source is not None and source.size_bytes() > size_bytes:
                raise OutOfRange(
                    f"the source has {source.size_bytes()} bytes, the new volume {size_bytes}",
                    object=request.key,
                )
            self._promise(held, size_bytes)
            row = VolumeRow(key=request.key, id=fresh, source=request.source, operation=operation)
            self.volumes.put(request.key, lambda new: _filled(new, row, source, size_bytes))
            return self.info(row)

    def _again(
        self, found: VolumeRow, request: requests.CreateVolume, size_bytes: int
    ) -> infos.VolumeInfo:
        info = self.volumes.describe(request.key, self.info)
        if info.size_bytes != size_bytes or found.source != request.source:
            raise Conflict("the key is taken by another volume", object=request.key)
        self.volumes.purge(request.key)
        return info

    @contextlib.contextmanager
    def _source(self, source: requests.Source | None) -> Iterator[files.OpenFile | None]:
        match source:
            case None:
                yield None
            case requests.SnapshotSource(key):
                with files.open_existing(self.snapshots.data(self.snapshots.get(key))) as file:
                    yield file
            case requests.VolumeSource(key):
                with quiet(self.volumes.data(self.volumes.get(key))) as file:
                    yield file
            case requests.DataSource():
                raise Invalid("this store creates no volumes from data")

    def delete(self, request: requests.DeleteVolume) -> infos.Gone:
        """Delete a volume that nobody uses; its snapshots and clones do not need it."""
        with self.place.locked(self.volumes.lock(request.key)):
            self.place.row()
            self.grants.refuse_in_use(request.key)
            self.grants.purge(request.key)
            self.volumes.remove(request.key)
            return infos.Gone(key=request.key)

    def resize(self, request: requests.ResizeVolume) -> infos.VolumeInfo:
        """Give a volume another size."""
        with self.place.locked(self.volumes.lock(request.key)) as held:
            self.place.row()
            row = self.volumes.get(request.key)
            self.volumes.purge(request.key)
            size_bytes, now_bytes = (
                rounded(request.size_bytes),
                self.volumes.describe(row.key, self.info).size_bytes,
            )
            changes = size_bytes > now_bytes or (request.shrink and size_bytes < now_bytes)
            if changes:
                self.grants.refuse_in_use(request.key)
                self._promise(held, size_bytes - now_bytes)
            with files.open_existing(self.volumes.data(row), writable=True) as file:
                if changes:
                    files.truncate(file, size_bytes)
                with after_the_fact(row.key):
                    files.fsync_file(file)
            return self.info(row)

    def revert(
        self, request: requests.RevertVolume, operation: str, fresh: str
    ) -> infos.VolumeInfo:
        """Give a volume the bytes and the size of its snapshot; ``fresh`` names the new file."""
        locks = self.volumes.lock(request.key), self.snapshots.lock(request.snapshot, shared=True)
        with self.place.locked(*locks) as held:
            self.place.row()
            row = self.volumes.get(request.key)
            snapshot = self.snapshots.get(request.snapshot)
            if snapshot.volume != row.key:
                raise Invalid(
                    f"snapshot {request.snapshot!r} is of volume {snapshot.volume!r}",
                    object=request.key,
                )
            self.grants.refuse_in_use(request.key)
            with files.open_existing(self.snapshots.data(snapshot)) as source:
                self._promise(held, source.size_bytes() - self.info(row).size_bytes)
                return self.info(self._replace_data(row, source, operation, fresh))

    def _replace_data(
        self, row: VolumeRow, source: files.OpenFile, operation: str, fresh: str
    ) -> VolumeRow:
        staged = self.volumes.stage(row.key)
        try:
            _filled(staged, row, source, source.size_bytes())
            old = self.volumes.data(row)
            changed = msgspec.structs.replace(row, data=f"data.{fresh}", reverted=operation)
            files.publish(staged / row.data, self.volumes.data(changed))
            self.volumes.replace_row(row.key, changed)
        except BaseException:
            self.volumes.purge(row.key)
            raise
        with after_the_fact(row.key):
            files.unlink(old)
            files.fsync_directory(old.parent)
        return changed

    # Snapshots

    def create_snapshot(
        self, request: requests.CreateSnapshot, operation: str, fresh: str
    ) -> infos.SnapshotInfo:
        """Keep a volume's bytes as they are; whoever writes waits until they are kept."""
        locks = self.snapshots.lock(request.key), self.volumes.lock(request.volume, shared=True)
        with self.place.locked(*locks) as held:
            self.place.allocating()
            found = self.snapshots.find(request.key)
            if found is not None:
                if found.volume != request.volume:
                    raise Conflict(
                        f"the key is taken by a snapshot of volume {found.volume!r}",
                        object=request.key,
                    )
                self.snapshots.purge(request.key)
                return self.snapshots.describe(request.key, self.snapshot_info)
            volume = self.volumes.get(request.volume)
            row = SnapshotRow(key=request.key, id=fresh, volume=request.volume, operation=operation)
            with quiet(self.volumes.data(volume)) as source:
                size_bytes = source.size_bytes()
                self._promise(held, size_bytes)
                self.snapshots.put(request.key, lambda new: _filled(new, row, source, size_bytes))
            return self.snapshot_info(row)

    def delete_snapshot(self, request: requests.DeleteSnapshot) -> infos.Gone:
        """Delete a snapshot; nothing else needs it."""
        with self.place.locked(self.snapshots.lock(request.key)):
            self.place.row()
            self.snapshots.remove(request.key)
            return infos.Gone(key=request.key)

    # Access

    def grant(self, request: requests.Grant, operation: str, fresh: str) -> infos.GrantInfo:
        """Let an attached host use a volume; ``fresh`` is the grant's id."""
        with self.place.locked(self.volumes.lock(request.volume)):
            store = self.place.allocating()
            data = self.volumes.data(self.volumes.get(request.volume))
            return self.grants.grant(store, request, data, operation=operation, fresh=fresh)

    def revoke(self, request: requests.Revoke) -> infos.Gone:
        """Take a grant back; when this returns no call under it is at work any more."""
        with self.place.locked(self.volumes.lock(request.volume)):
            self.place.row()
            self.grants.revoke(request.volume, request.host)
            # Also where the grant is gone already: a killed call may not have waited.
            with after_the_fact(request.volume), self._data_for_quiet(request.volume) as file:
                if file is not None:
                    fcntl.flock(file.fd, fcntl.LOCK_EX)
            return infos.Gone(key=request.volume)

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
    def _data_for_quiet(self, volume: str) -> Iterator[files.OpenFile | None]:
        """A volume's file; ``None`` where there is none to wait for, absent or lost."""
        with contextlib.ExitStack() as stack:
            file: files.OpenFile | None = None
            with contextlib.suppress(NotFound, Corrupt, FileNotFoundError):
                path = self.volumes.data(self.volumes.get(volume))
                file = stack.enter_context(files.open_existing(path))
            yield file


def rounded(size_bytes: int) -> int:
    """A size rounded up to whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


@contextlib.contextmanager
def quiet(path: Path) -> Iterator[files.OpenFile]:
    """A volume's file while nobody else is in the middle of a call to it."""
    with files.open_existing(path) as file:
        fcntl.flock(file.fd, fcntl.LOCK_EX)
        yield file


def _filled(new: Path, row: R, source: files.OpenFile | None, size_bytes: int) -> R:
    with files.create_exclusive(new / row.data) as file:
        if source is not None:
            clone_or_copy(source, file, source.size_bytes())
        files.truncate(file, size_bytes)
        files.fsync_file(file)
    return row
