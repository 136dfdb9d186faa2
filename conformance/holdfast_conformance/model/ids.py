"""The driver's own ids: the same for one thing as long as it lives, never given to another."""

from collections.abc import Iterable, Iterator

from holdfast.infos import (
    GrantInfo,
    ObjectInfo,
    ObjectPage,
    OwnedKind,
    SnapshotInfo,
    SnapshotPage,
    StoreInfo,
    VolumeInfo,
    VolumePage,
)
from holdfast_conformance.model.difference import Aspect, Difference, Expected, Where
from holdfast_conformance.trace import ObjectBytes, Reply

ID_MAX_BYTES = 128
Identity = tuple[OwnedKind, str]
_Life = tuple[OwnedKind, str, int]


class IdBook:
    """The ids that replies have shown so far, by thing and life."""

    def __init__(self) -> None:
        self._ids: dict[_Life, str] = {}
        self._owners: dict[tuple[OwnedKind, str], _Life] = {}

    def differences(self, reply: Reply, alive: Iterable[Expected]) -> Iterator[Difference]:
        """Learn the ids in a reply; what is wrong with them."""
        born = {thing.identity: thing.born for thing in alive}
        for (kind, name), identifier in _ids_in(reply):
            if (kind, name) not in born:
                continue  # Nothing of that name lives: other differences say so.
            life = (kind, name, born[kind, name])
            if not identifier or len(identifier.encode()) > ID_MAX_BYTES:
                yield _wrong(kind, name, f"1 to {ID_MAX_BYTES} bytes", repr(identifier))
                continue
            known = self._ids.setdefault(life, identifier)
            if known != identifier:
                yield _wrong(kind, name, known, identifier)
            owner = self._owners.setdefault((kind, identifier), life)
            if owner != life:
                yield _wrong(kind, name, "an id never used before", f"the id of {owner[1]!r}")


def _wrong(kind: OwnedKind, name: str, expected: str, observed: str) -> Difference:
    return Difference(Where.REPLY, kind, name, Aspect.ID, expected, observed)


def _ids_in(reply: Reply) -> Iterator[tuple[Identity, str]]:
    match reply:
        case VolumeInfo():
            yield (OwnedKind.VOLUME, reply.key), reply.id
        case SnapshotInfo():
            yield (OwnedKind.SNAPSHOT, reply.key), reply.id
        case ObjectInfo():
            yield (OwnedKind.OBJECT, reply.key), reply.id
        case GrantInfo():
            detail = f"{reply.volume}|{reply.host}|{reply.mode.value}"
            yield (OwnedKind.GRANT, detail), reply.id
        case StoreInfo():
            yield (OwnedKind.STORE, ""), reply.id
        case ObjectBytes():
            yield (OwnedKind.OBJECT, reply.data.object.key), reply.data.object.id
        case VolumePage() | SnapshotPage() | ObjectPage():
            for item in reply.items:
                yield from _ids_in(item)
        case _:
            return
