"""The driver's own ids: the same for one thing as long as it lives, never given to another."""

from collections.abc import Iterable, Iterator, Mapping

from holdfast.contract.answers import (
    Done,
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
from holdfast_conformance.model.enumerated import unknown_grants
from holdfast_conformance.trace import Continued, Enumerated, ObjectBytes, Reply

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
        if isinstance(reply, Enumerated):
            yield from unknown_grants(reply.things, self._grants(born))
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

    def _grants(self, born: Mapping[Identity, int]) -> dict[str, str | None]:
        """The ids of the grants that live, as far as they were told."""
        return {
            name: self._ids.get((kind, name, when))
            for (kind, name), when in born.items()
            if kind is OwnedKind.GRANT
        }


def _wrong(kind: OwnedKind, name: str, expected: str, observed: str) -> Difference:
    return Difference(Where.REPLY, kind, name, Aspect.ID, expected, observed)


def _ids_in(reply: Reply) -> Iterator[tuple[Identity, str]]:  # noqa: C901 - one arm per type
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
        case Done(answer=answer):
            yield from _ids_in(answer)
        case Continued(page=page):
            yield from _ids_in(page)
        case Enumerated(things=things):
            stores = (thing for thing in things if thing.kind is OwnedKind.STORE)
            yield from (((OwnedKind.STORE, ""), thing.id) for thing in stores)
        case VolumePage() | SnapshotPage() | ObjectPage():
            for item in reply.items:
                yield from _ids_in(item)
        case _:
            return
