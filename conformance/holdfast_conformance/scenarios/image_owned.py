"""Stories of what an image store owns: enumerated after every kind of change."""

from collections.abc import Iterator

from holdfast.contract.requests import AbortUpload, CopyObject, DeleteObject, EnumerateOwned
from holdfast_conformance.plan import Reopen, Step
from holdfast_conformance.scenarios.image_script import Script
from holdfast_conformance.scenarios.probes import RELATIVES

_LOOK = EnumerateOwned()


def owned_uploads(script: Script) -> Iterator[Step]:
    """Uploads are shown from their start to their end, whatever became of their keys."""
    start = script.start(upload=script.key)
    other = script.start("other", upload=f"{script.key}{script.choices.pick(RELATIVES)}")
    yield start
    yield _LOOK
    yield script.put()
    yield other
    yield script.part(start, 1)
    yield script.part(start, 1)
    yield _LOOK
    yield Reopen()
    yield DeleteObject(key=script.key)
    yield _LOOK
    first, second = script.choices.shuffled((start, other))
    yield AbortUpload(upload=first.upload)
    yield _LOOK
    yield script.part(second, 1)
    yield script.finish(second, 1)
    yield _LOOK


def owned_objects(script: Script) -> Iterator[Step]:
    """Objects are shown as they are, once each, after they were replaced, copied and deleted."""
    other = f"{script.key}{script.choices.pick(RELATIVES)}"
    yield script.put()
    yield script.put(other, 0)
    yield script.put(size_bytes=500)
    yield _LOOK
    if script.declared.copy is not None:
        yield CopyObject(key=script.key, target="copy")
        yield _LOOK
    yield DeleteObject(key=script.choices.pick((script.key, other)))
    yield _LOOK


STORIES = (owned_uploads, owned_objects)
