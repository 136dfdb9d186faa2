"""Stories of lists: keys that begin alike, pages of every size, and tokens used later."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    CreateSnapshot,
    DeleteSnapshot,
    DeleteVolume,
    ListSnapshots,
    ListVolumes,
)
from holdfast_conformance.list_steps import NextPage, TakePage, WalkSnapshots
from holdfast_conformance.plan import (
    Reopen,
    Step,
)
from holdfast_conformance.scenarios.script import Script

_PLAIN_ENDS = ("-1", "0", "0-", "_")
_ODD_ENDS = ("/0", "%", "*", "\u00e9")
"""Keys that begin with each other, in an order that few would guess; odd ones may be refused."""
PLANES = ("\U0001f4be", "\uff5e")
"""Later and earlier in bytes; as pairs of 16 bits they are the other way around."""
_PAGE = "page"
_ALL = 1000


def keys_alike(script: Script, count: int) -> list[str]:
    """Keys that begin alike, in some order; the first key of all is among them."""
    stem = f"{script.name()}-{'k' * 70}"  # longer than many a token has room for
    choices = script.choices
    plain = (count - 1) // 2 + (count - 1) % 2 * choices.below(2)
    odd = count - 1 - plain
    some = choices.shuffled(_PLAIN_ENDS)[:plain] + choices.shuffled(_ODD_ENDS)[:odd]
    ends = ["", *some]
    return [f"{stem}{end}" for end in script.choices.shuffled(ends)]


def snapshot_pages(script: Script) -> Iterator[Step]:
    """Snapshots of two volumes whose keys begin alike, with pages of every size."""
    if script.declared.snapshot is None or script.declared.volume.volumes_max == 1:
        return
    short, longer = sorted(keys_alike(script, 2))
    most = min(2, (script.declared.snapshot.snapshots_per_volume_max or 2))
    yield script.create(short)
    yield script.create(longer)
    keys = [*keys_alike(script, 2), *PLANES][: 2 * most]
    for index, key in enumerate(keys):
        yield CreateSnapshot(key=key, volume=(short, longer)[index % 2])
    for limit in range(1, len(keys) + 2):
        yield WalkSnapshots(limit=limit)
    for limit in range(1, most + 2):
        yield WalkSnapshots(volume=short, limit=limit)
    yield WalkSnapshots(volume=longer, limit=1)
    yield WalkSnapshots(volume=short[:-1], limit=2)


def volume_tokens(script: Script) -> Iterator[Step]:
    """A token of volumes goes on where its page ended, whatever became of the list."""
    if (script.declared.volume.volumes_max or 5) < 5:
        return
    keys = sorted(keys_alike(script, 5), key=str.encode)
    size = 1 + script.choices.below(2)
    page = ListVolumes(limit=size)
    for key in (*keys[:1], *keys[2:]):
        yield script.create(key, script.size(1))
    yield TakePage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=ListVolumes(limit=_ALL))
    if script.snapshots:
        yield NextPage(page=_PAGE, of=ListSnapshots())
    shown = (keys[0], keys[2])[size - 1]
    yield DeleteVolume(key=shown)
    yield NextPage(page=_PAGE, of=page)
    yield script.create(keys[1], script.size(1))
    yield Reopen()
    yield NextPage(page=_PAGE, of=page)
    yield DeleteVolume(key=keys[3])
    yield NextPage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=ListVolumes(limit=_ALL))


def snapshot_tokens(script: Script) -> Iterator[Step]:
    """A token of one volume's snapshots is none of another's, nor of all."""
    declared = script.declared.snapshot
    if declared is None or script.declared.volume.volumes_max == 1:
        return
    if (declared.snapshots_per_volume_max or 3) < 3:
        return
    short, longer = sorted(keys_alike(script, 2))
    yield script.create(short)
    yield script.create(longer)
    keys = sorted(keys_alike(script, 5), key=str.encode)
    for key, volume in zip(keys, (short, longer, short, longer, short), strict=True):
        yield CreateSnapshot(key=key, volume=volume)
    page = ListSnapshots(volume=short, limit=1)
    yield TakePage(page=_PAGE, of=page)
    for other in (ListSnapshots(volume=longer), ListSnapshots(), ListVolumes()):
        yield NextPage(page=_PAGE, of=other)
    yield DeleteSnapshot(key=keys[0])
    yield NextPage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=ListSnapshots(volume=short, limit=2))


STORIES = (snapshot_pages, volume_tokens, snapshot_tokens)
