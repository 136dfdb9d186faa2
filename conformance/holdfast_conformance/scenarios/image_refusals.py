"""Stories of an image store's refusals, figures and second life: what is over leaves nothing."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    AbortUpload,
    AttachHost,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    DeleteStore,
    DetachHost,
    GetObject,
    GetStats,
    HeadObject,
    InitializeStore,
    MaintainStore,
)
from holdfast_conformance.plan import InspectStore, Reopen, Step, WalkObjects
from holdfast_conformance.scenarios.image_script import HOST, Script

_NAME = "images"
MISSES = 18
"""In two verbs together more than the ten connections of a pool of botocore."""


def refused_uploads(script: Script) -> Iterator[Step]:
    """What a wrong completion, another upload or a store at rest prevented works afterwards."""
    first = script.start()
    yield first
    yield script.part(first, 1)
    yield script.finish(first, 1, wrong_digest=True)
    yield first
    yield script.part(first, 1)
    yield script.finish(first, 1)
    yield GetObject(key=script.key)
    second = script.start()
    other = script.start("other", upload=second.upload)
    yield from (second, other)
    yield AbortUpload(upload=second.upload)
    yield other
    yield script.part(other, 1)
    yield script.finish(other, 1, 2)
    yield script.finish(other, 1)
    late = script.start("late")
    yield MaintainStore()
    yield late
    yield CancelMaintenance()
    yield late
    yield AbortUpload(upload=late.upload)


def many_misses(script: Script) -> Iterator[Step]:
    """However often something is asked for that is not there: what is there is found."""
    yield script.put()
    looks = (HeadObject(key="absent"), GetObject(key="absent"))
    for number in range(MISSES):
        yield looks[number % len(looks)]
    yield GetObject(key=script.key)


def refused_copies(script: Script) -> Iterator[Step]:
    """A copy that was refused is made once there is a source, and room for it."""
    if script.declared.copy is None:
        return
    copy = CopyObject(key=script.key, target="copy")
    yield copy
    yield script.put()
    yield copy
    yield script.put("copy")
    yield copy
    yield DeleteObject(key="copy")
    yield copy
    yield GetObject(key="copy")


def figures_of_refusals(script: Script) -> Iterator[Step]:
    """What was aborted, refused or replaced is not counted."""
    figures = GetStats()
    source = script.put(size_bytes=script.fitting(700))
    start, wrong = script.start("other"), script.start("other")
    again = msgspec.structs.replace(source, upload=script.upload())
    yield figures
    yield source
    yield figures
    yield start
    yield script.part(start, 1)
    yield AbortUpload(upload=start.upload)
    yield figures
    yield wrong
    yield script.part(wrong, 1)
    yield script.finish(wrong, 1, wrong_digest=True)
    yield AbortUpload(upload=wrong.upload)
    yield figures
    yield script.put(size_bytes=script.fitting(300))
    yield figures
    yield again
    yield figures
    yield script.put("other", script.fitting(100))
    yield DeleteObject(key="never")
    yield figures
    yield Reopen()
    yield figures
    yield DeleteObject(key="other")
    yield figures
    yield DeleteObject(key="other")
    yield figures
    yield DeleteObject(key=script.key)
    yield DeleteObject(key=script.key)
    yield figures


def second_life(script: Script) -> Iterator[Step]:
    """What is made where a store was given back is another store, and nothing of the first."""
    yield InitializeStore(name=_NAME)
    yield AttachHost(host=HOST)
    yield script.put()
    first = script.start()
    yield from (first, script.part(first, 1))
    yield DeleteStore()
    yield DeleteObject(key=script.key)
    yield AbortUpload(upload=first.upload)
    yield MaintainStore()
    yield InitializeStore(name=_NAME)
    yield InspectStore()
    yield DeleteStore()
    yield DetachHost(host=HOST)
    yield DeleteStore()
    yield InitializeStore(name=_NAME)
    yield InspectStore()
    yield GetObject(key=script.key)
    yield AttachHost(host=HOST)
    second = script.start("other", upload=first.upload)
    yield from (second, script.finish(second, 1))
    yield from (script.part(second, 1), script.finish(second, 1))
    yield WalkObjects(prefix="", delimiter="", limit=1)


FRESH_STORIES = (second_life,)
"""These begin in a place that is no store yet."""

ONCE = (many_misses,)
"""These are played once, however many rounds there are."""

STORIES = (refused_uploads, refused_copies, figures_of_refusals, *FRESH_STORIES)
