"""Stories of lost answers on an image store: what a probe says of calls of every kind and fate."""

from collections.abc import Iterator

import msgspec

from holdfast.contract.requests import (
    AbortUpload,
    CancelMaintenance,
    CopyObject,
    DeleteObject,
    GetObject,
    MaintainStore,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.plan import HealFault, InjectFault, ProbeCall, ProbedCall, Reopen, Step
from holdfast_conformance.scenarios.image_script import Script
from holdfast_conformance.scenarios.probes import RELATIVES, around, probed


def probed_upload(script: Script) -> Iterator[Step]:
    """An upload's calls, asked about before and after each, over an object that was there."""
    start = script.start()
    first, again = script.part(start, 1), script.part(start, 1)
    finish = script.finish(start, 1)
    yield script.put(size_bytes=script.part_bytes)  # as large as what is about to replace it
    yield from around(start)
    yield ProbeCall(call=msgspec.structs.replace(start, key="another"))
    yield from around(first)
    yield ProbeCall(call=again)
    yield from around(again)
    yield ProbeCall(call=finish)
    yield ProbeCall(call=start)
    yield from probed(script.finish(start, 1, wrong_digest=True))
    yield script.start(upload=start.upload)
    yield again
    yield ProbeCall(call=AbortUpload(upload=start.upload))
    yield from around(finish)
    yield ProbeCall(call=finish)
    yield ProbeCall(call=again)
    yield script.put()
    yield ProbeCall(call=finish)


def probed_aborts(script: Script) -> Iterator[Step]:
    """Uploads that are dropped, of upload keys that begin alike."""
    start = script.start()
    other = script.start("other", upload=f"{start.upload}{script.choices.pick(RELATIVES)}")
    abort = AbortUpload(upload=start.upload)
    yield other
    yield ProbeCall(call=start)
    yield start
    yield script.part(other, 1)
    yield from around(abort)
    yield ProbeCall(call=AbortUpload(upload=other.upload))
    yield ProbeCall(call=start)
    yield ProbeCall(call=other)
    yield from probed(abort)
    yield from probed(script.finish(other, 1))
    yield ProbeCall(call=DeleteObject(key=other.key))


def probed_objects(script: Script) -> Iterator[Step]:
    """Deletions and copies, of keys that begin alike."""
    other = f"{script.key}{script.choices.pick(RELATIVES)}"
    gone = DeleteObject(key=script.key)
    yield script.put()
    yield script.put(other)
    yield from around(gone)
    yield ProbeCall(call=DeleteObject(key=other))
    yield Reopen()
    yield from probed(gone)
    if script.declared.copy is None:
        return
    copy = CopyObject(key=other, target=script.key)
    yield from around(copy)
    yield script.put("taken")
    yield from probed(CopyObject(key=other, target="taken"))
    yield ProbeCall(call=gone)
    yield from probed(gone)
    yield ProbeCall(call=copy)


def probed_at_rest(script: Script) -> Iterator[Step]:
    """What maintenance refuses did not happen; what happened before it did."""
    first, second = script.start("first"), script.start("second")
    part = script.part(first, 1)
    yield first
    yield part
    yield MaintainStore()
    yield ProbeCall(call=first)
    yield ProbeCall(call=part)
    yield from probed(second)
    yield CancelMaintenance()
    yield from probed(second)


def probed_outage(script: Script) -> Iterator[Step]:
    """Nobody can tell while the backend is down; once it is back, what happened shows."""
    start, other = script.start(), script.start("other")
    gone = DeleteObject(key="there")
    yield script.put("there")
    yield start
    yield InjectFault(fault=Fault.DOWN)
    yield ProbeCall(call=start)
    yield from probed(other)
    yield from probed(gone)
    yield HealFault()
    calls: tuple[ProbedCall, ...] = (start, other, gone)
    for call in script.choices.shuffled(calls):
        yield ProbeCall(call=call)
    yield GetObject(key="there")


STORIES = (probed_upload, probed_aborts, probed_objects, probed_at_rest, probed_outage)
