"""Stories of two image stores of one backend, with the same keys in both."""

from collections.abc import Iterator

from holdfast.contract.requests import (
    AbortUpload,
    AttachHost,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    DeleteStore,
    DetachHost,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    InitializeStore,
    MaintainStore,
    OpenObject,
)
from holdfast_conformance.plan import InspectStore, Step, UseStore, WalkObjects
from holdfast_conformance.scenarios.image_script import HOST, Script

_MINE, _NEXT = UseStore(number=0), UseStore(number=1)


def two_stores(script: Script) -> Iterator[Step]:
    """What is done in one store is not seen in another, and reaches nothing there."""
    key, other = script.key, "other"
    mine, theirs = script.start(other), script.start(other, upload="upload-of-both")
    last_bytes = script.small_bytes()
    yield from (script.put(key), mine, script.part(mine, 1, last_bytes))
    yield from (_NEXT, InspectStore(), InitializeStore(name="beside"), AttachHost(host=HOST))
    yield from (GetObject(key=key), HeadObject(key=key), EnumerateOwned(), GetStats())
    yield script.part(mine, 1, last_bytes)  # nobody opened it here
    yield from (script.put(key), OpenObject(key=key), theirs, script.part(theirs, 1, last_bytes))
    yield from (_MINE, OpenObject(key=key), *_looks(script, key))
    yield from (theirs, AbortUpload(upload=theirs.upload))
    yield from (script.finish(mine, 1), MaintainStore())
    yield from (_NEXT, HeadObject(key=other), script.finish(theirs, 1), *_looks(script, other))
    if script.declared.copy is not None:
        yield CopyObject(key=key, target="copy")
    yield from (DeleteObject(key=key), _MINE, *_looks(script, key), CancelMaintenance())
    yield from (GetObject(key="copy"), GetObject(key=other))
    yield from (_NEXT, DeleteObject(key=other), DeleteObject(key="copy"))
    yield from (DetachHost(host=HOST), DeleteStore())
    yield from (_MINE, *_looks(script, key), GetObject(key=other), InspectStore())


def given_back_beside(script: Script) -> Iterator[Step]:
    """A store that is emptied and given back takes nothing of another along."""
    key = script.key
    open_one = script.start("open")
    yield script.put(key)
    yield from (_NEXT, InitializeStore(name="beside"), AttachHost(host=HOST))
    yield from (script.put(key), open_one, script.part(open_one, 1, script.small_bytes()))
    yield from (_MINE, DeleteObject(key=key), DetachHost(host=HOST), DeleteStore())
    yield from (_NEXT, *_looks(script, key), script.finish(open_one, 1), GetObject(key="open"))


def _looks(script: Script, key: str) -> Iterator[Step]:
    """Some ways to look at a store."""
    yield GetObject(key=key)
    looks: list[Step] = [
        WalkObjects(prefix="", delimiter="", limit=script.page(2)),
        EnumerateOwned(),
        GetStats(),
    ]
    yield from script.choices.shuffled(looks)[:2]


ONCE = (two_stores, given_back_beside)
