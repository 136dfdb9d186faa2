"""Defects in what a driver shows of what a namespace owns."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast_drivers.memory.image_driver import MemoryImageDriver
from holdfast_drivers.memory.mutants.planted import planted
from holdfast_drivers.memory.primary_driver import MemoryPrimaryDriver


class EnumerateHidesGrants(MemoryPrimaryDriver):
    """Grants are nowhere among what the namespace owns."""

    def owned(self) -> Iterator[OwnedThing]:
        return (thing for thing in super().owned() if thing.kind is not OwnedKind.GRANT)


class EnumerateShowsOneGrantOfAVolume(MemoryPrimaryDriver):
    """Of several hosts that have a volume one is shown."""

    def owned(self) -> Iterator[OwnedThing]:
        seen: set[str] = set()
        for thing in super().owned():
            volume = thing.key.partition("|")[0]
            if thing.kind is not OwnedKind.GRANT or volume not in seen:
                yield thing
            if thing.kind is OwnedKind.GRANT:
                seen.add(volume)


class EnumerateTellsAnotherIdOfAGrant(MemoryPrimaryDriver):
    """A grant is shown under another id than the one it was given with."""

    def owned(self) -> Iterator[OwnedThing]:
        for thing in super().owned():
            granted = thing.kind is OwnedKind.GRANT
            yield msgspec.structs.replace(thing, id=f"g-{thing.id}") if granted else thing


class EnumerateHidesASnapshotNamedAsItsVolume(MemoryPrimaryDriver):
    """What has the key of something that was shown already is left out."""

    def owned(self) -> Iterator[OwnedThing]:
        seen: set[str] = set()
        for thing in super().owned():
            if thing.key not in seen:
                yield thing
            seen.add(thing.key)


class EnumerateShowsTheSourceSizeOfAClone(MemoryPrimaryDriver):
    """A clone is shown with the size of the snapshot it was made from."""

    def owned(self) -> Iterator[OwnedThing]:
        sizes = {row.key: row.content.size_bytes for row in self.store().snapshots.values()}
        for thing in super().owned():
            row = self.store().volumes.get(thing.key) if thing.kind is OwnedKind.VOLUME else None
            size = sizes.get(getattr(row.source, "snapshot", "")) if row else None
            yield thing if size is None else msgspec.structs.replace(thing, size_bytes=size)


class EnumerateShowsASnapshotForEachGrant(MemoryPrimaryDriver):
    """A granted volume's snapshots are shown twice."""

    def owned(self) -> Iterator[OwnedThing]:
        for thing in super().owned():
            yield thing
            row = (
                self.store().snapshots.get(thing.key) if thing.kind is OwnedKind.SNAPSHOT else None
            )
            if row and self.grants_of(self.store(), row.volume):
                yield thing


class EnumerateHidesUploadsWithoutParts(MemoryImageDriver):
    """An upload is shown once its first part has come."""

    def owned(self) -> Iterator[OwnedThing]:
        for thing in super().owned():
            upload = self.store().uploads.get(thing.key)
            if thing.kind is not OwnedKind.UPLOAD or (upload and upload.parts):
                yield thing


class EnumerateHidesUploadsToTakenKeys(MemoryImageDriver):
    """An upload that will replace an object is not shown."""

    def owned(self) -> Iterator[OwnedThing]:
        for thing in super().owned():
            upload = self.store().uploads.get(thing.key)
            taken = upload is not None and upload.key in self.store().objects
            if thing.kind is not OwnedKind.UPLOAD or not taken:
                yield thing


class EnumerateHidesEmptyObjects(MemoryImageDriver):
    """An object of 0 bytes is not shown."""

    def owned(self) -> Iterator[OwnedThing]:
        for thing in super().owned():
            if thing.kind is not OwnedKind.OBJECT or thing.size_bytes:
                yield thing


MUTANTS = (
    planted("PRB-05", EnumerateHidesGrants),
    planted("PRB-05", EnumerateShowsOneGrantOfAVolume),
    planted("PRB-05", EnumerateTellsAnotherIdOfAGrant),
    planted("PRB-05", EnumerateHidesASnapshotNamedAsItsVolume),
    planted("PRB-05", EnumerateShowsTheSourceSizeOfAClone),
    planted("PRB-05", EnumerateShowsASnapshotForEachGrant),
    planted("PRB-05", EnumerateHidesUploadsWithoutParts),
    planted("PRB-05", EnumerateHidesUploadsToTakenKeys),
    planted("PRB-05", EnumerateHidesEmptyObjects),
)
