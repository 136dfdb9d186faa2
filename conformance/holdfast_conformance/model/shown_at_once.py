"""What a list or an enumeration that is made at once with changes must show: what they spare."""

from collections.abc import Iterable, Iterator

from holdfast.contract.answers import ObjectPage, OwnedKind, SnapshotPage, VolumePage
from holdfast.contract.requests import ListObjects, ListSnapshots, ListVolumes
from holdfast_conformance.model.at_once import CallMade
from holdfast_conformance.model.difference import Aspect, Difference, Expected, Where
from holdfast_conformance.trace import Enumerated

_Shown = frozenset[tuple[OwnedKind, str]]
_COUNTED = (OwnedKind.STORE, OwnedKind.GRANT)
"""Grants share the keys of their volumes, and a store need not be shown."""


def missing_of_lasting(
    calls: Iterable[CallMade], moments: Iterable[Iterable[Expected]]
) -> Iterator[Difference]:
    """What lived before the calls and lives on after them, and was not shown by one of them.

    Recovery and scrub believe what is enumerated, and take for lost what is not: whatever is done
    meanwhile to one thing, the others are there.

    Args:
        calls: the calls and what came of them.
        moments: what lives in each state that was possible before, or is now.
    """
    shown = [showing for made in calls if (showing := _shown_by(made)) is not None]
    if not shown:
        return
    alive = [frozenset((one.kind, one.key, one.born) for one in things) for things in moments]
    lasting = sorted((kind, key) for kind, key, _ in alive[0].intersection(*alive[1:]))
    for kinds, seen in shown:
        for kind, key in lasting:
            if kind in kinds and (kind, key) not in seen:
                yield Difference(
                    Where.REPLY, kind, key, Aspect.MISSING, "present throughout", "absent"
                )


def _shown_by(made: CallMade) -> tuple[frozenset[OwnedKind], _Shown] | None:
    """Of which kinds a call shows all there is, and what it showed; else ``None``."""
    match made.step, made.reply:
        case _, Enumerated(things=things):
            kinds = frozenset(OwnedKind) - frozenset(_COUNTED)
            return kinds, frozenset((thing.kind, thing.key) for thing in things)
        case ListVolumes(token=""), VolumePage(items=items, token=""):
            return _of(OwnedKind.VOLUME, (item.key for item in items))
        case ListSnapshots(token="", volume=""), SnapshotPage(items=items, token=""):
            return _of(OwnedKind.SNAPSHOT, (item.key for item in items))
        case ListObjects(token="", prefix="", delimiter=""), ObjectPage(items=items, token=""):
            return _of(OwnedKind.OBJECT, (item.key for item in items))
        case _:
            return None


def _of(kind: OwnedKind, keys: Iterable[str]) -> tuple[frozenset[OwnedKind], _Shown]:
    return frozenset((kind,)), frozenset((kind, key) for key in keys)
