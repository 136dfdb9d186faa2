"""What is wrong with what ``enumerate`` shows, against everything that the model knows there is.

Scrub compares the same: keys, sizes, and the ids of the store and of grants. A grant has no key of
its own: it is shown under its volume's, with the host behind a bar or without.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast_conformance.model.difference import Aspect, Difference, Expected, Where

_SIZED = (OwnedKind.VOLUME, OwnedKind.SNAPSHOT, OwnedKind.OBJECT)
_APART = (OwnedKind.STORE, OwnedKind.GRANT)


def enumeration_differences(
    expected: Iterable[Expected], things: Iterable[OwnedThing]
) -> Iterator[Difference]:
    """What is shown too much, too often, wrongly or not at all."""
    expected, things = tuple(expected), tuple(things)
    yield from _keyed(
        {(one.kind, one.key): one for one in expected if one.kind not in _APART},
        [thing for thing in things if thing.kind not in _APART],
    )
    grants = [one.detail or "" for one in expected if one.kind is OwnedKind.GRANT]
    yield from _grants(grants, [thing for thing in things if thing.kind is OwnedKind.GRANT])
    stores = [thing for thing in things if thing.kind is OwnedKind.STORE]
    names = {one.key for one in expected if one.kind is OwnedKind.STORE}
    for thing in stores:
        if thing.key and thing.key not in names:
            yield _shown(OwnedKind.STORE, thing.key, Aspect.KEY, ", ".join(names), thing.key)
    if len(stores) > 1:
        yield _shown(OwnedKind.STORE, "", Aspect.DUPLICATE, "one", "several")
    for thing in things:
        unfinished = thing.kind is OwnedKind.UPLOAD
        if thing.unfinished is not unfinished:
            right, seen = str(unfinished), str(thing.unfinished)
            yield _shown(thing.kind, thing.key, Aspect.UNFINISHED, right, seen)


def _keyed(
    missing: dict[tuple[OwnedKind, str], Expected], things: Iterable[OwnedThing]
) -> Iterator[Difference]:
    known = frozenset(missing)
    for thing in things:
        identity = thing.kind, thing.key
        right = missing.pop(identity, None)
        if identity not in known:
            yield _shown(*identity, Aspect.EXTRA, "absent", "present")
        elif right is None:
            yield _shown(*identity, Aspect.DUPLICATE, "once", "several times")
        elif thing.kind in _SIZED and right.size_bytes not in (None, thing.size_bytes):
            sizes = str(right.size_bytes), str(thing.size_bytes)
            yield _shown(*identity, Aspect.SIZE, *sizes)
    for kind, key in missing:
        yield _shown(kind, key, Aspect.MISSING, "present", "absent")


def _grants(details: list[str], things: list[OwnedThing]) -> Iterator[Difference]:
    """Grants are told apart as far as their keys go, and counted."""
    left = [detail.rpartition("|")[0] for detail in details]
    for thing in sorted(things, key=lambda thing: (not thing.key, "|" not in thing.key)):
        held = next((name for name in left if _is_of(thing.key, name)), None)
        if held is None:
            yield _shown(OwnedKind.GRANT, thing.key, Aspect.EXTRA, "absent", "present")
        else:
            left.remove(held)
    for name in left:
        yield _shown(OwnedKind.GRANT, name, Aspect.MISSING, "present", "absent")
    for identifier, count in Counter(thing.id for thing in things).items():
        if count > 1:
            yield _shown(OwnedKind.GRANT, identifier, Aspect.DUPLICATE, "once", "several times")


def _is_of(key: str, name: str) -> bool:
    """Whether a grant of this key may be that of this volume and host."""
    return key in ("", name, name.rpartition("|")[0])


def unknown_grants(
    things: Iterable[OwnedThing], ids: Mapping[str, str | None]
) -> Iterator[Difference]:
    """Grants under another id than the one that was answered when they were made.

    Args:
        things: everything that was shown.
        ids: the id of each living grant; ``None`` where its answer was lost.
    """
    known = set(ids.values())
    unsaid = sum(1 for identifier in ids.values() if identifier is None)
    for thing in things:
        if thing.kind is not OwnedKind.GRANT or thing.id in known:
            continue
        if not unsaid:
            yield _shown(OwnedKind.GRANT, thing.key, Aspect.ID, "the id of a grant", thing.id)
        unsaid = max(0, unsaid - 1)


def _shown(kind: OwnedKind, key: str, aspect: Aspect, right: str, seen: str) -> Difference:
    return Difference(Where.REPLY, kind, key, aspect, right, seen)
