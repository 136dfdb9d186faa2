"""Calls that were given up and act after all: a later one was made, and they are refused."""

import asyncio
import threading
from pathlib import Path

import pytest

from fenced_stores import (
    CASES,
    CLONE,
    COMPLETE,
    DELETE,
    EARLIER,
    GRANT,
    GROW,
    LATER,
    LATEST,
    OWNER,
    PART,
    REVERT,
    REVOKE,
    SNAPSHOT,
    UPLOAD,
    VOLUME,
    Opened,
    context,
    refused,
    story,
)
from holdfast.contract import requests
from holdfast.contract.answers import Absent, Done, Undetermined
from holdfast.contract.errors import NotFound
from holdfast.contract.requests import CallContext, Request, verb_of
from holdfast.data import open_block_io
from holdfast.files.mutations import Mutation, MutationKind, observe
from holdfast_conformance.power_cut import PowerCut, Recorder

each_case = pytest.mark.parametrize(("before", "later", "late"), CASES.values(), ids=list(CASES))


@each_case
def test_a_call_is_refused_after_a_later_one(
    before: tuple[Request, ...], later: Request, late: Request, tmp_path: Path
) -> None:
    """What was given up and comes after a later call on the object is refused, and does nothing."""

    async def told(store: Opened) -> None:
        for number, request in enumerate(before, 1):
            await store.call(request, context(number))
        await store.call(later, context(LATER))
        await refused(store, late, context(EARLIER), tmp_path)

    story(tmp_path, told)


@each_case
def test_a_power_cut_forgets_no_answered_fence(
    before: tuple[Request, ...], later: Request, late: Request, tmp_path: Path
) -> None:
    """With all gone that was not synced, a late call is refused after one that was answered."""
    root, recorder = tmp_path / "root", Recorder()
    root.mkdir()
    (tmp_path / "scratch").mkdir()

    async def made(store: Opened) -> None:
        for number, request in enumerate(before, 1):
            await store.call(request, context(number))

    async def acknowledged(store: Opened) -> None:
        with observe(recorder):
            await store.call(later, context(LATER))

    async def told(store: Opened) -> None:
        await refused(store, late, context(EARLIER), root)

    story(root, made)
    cut = PowerCut(root, tmp_path / "scratch")
    story(root, acknowledged)
    for mutation in recorder.mutations:
        cut.apply(mutation)
    root.rename(tmp_path / "gone")
    cut.write_survivors(root)
    story(root, told)


def test_an_equal_or_a_higher_fence_passes(tmp_path: Path) -> None:
    """A call may be repeated, and a new owner's first call is later than all of the one before."""

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(LATER))
        await store.call(VOLUME, context(LATER))
        newer = CallContext(operation="op", fence=2 * OWNER + 1, deadline=1e9)
        await store.call(GROW, newer)
        await refused(store, DELETE, context(LATEST), tmp_path)

    story(tmp_path, told)


def test_a_caller_without_a_fence_is_not_checked_and_leaves_none(tmp_path: Path) -> None:
    """Fence 0 passes after any other, and any other after it."""
    bare = CallContext(operation="op", deadline=1e9)

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(LATER))
        await store.call(DELETE, bare)
        await store.call(VOLUME, bare)
        await store.call(DELETE, context(LATER))

    story(tmp_path, told)


def test_a_refused_call_of_a_later_time_counts_too(tmp_path: Path) -> None:
    """A later call that failed was still made: what comes before it is late."""

    async def told(store: Opened) -> None:
        with pytest.raises(NotFound):
            await store.call(GROW, context(LATER))
        await refused(store, VOLUME, context(EARLIER), tmp_path)

    story(tmp_path, told)


class Stuck:
    """Holds the first mutation of a kind until it is told to go on."""

    def __init__(self, kind: MutationKind) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._kind = kind

    def before(self, mutation: Mutation) -> None:
        """Wait."""
        if mutation.kind is self._kind and not self.reached.is_set():
            self.reached.set()
            self.go_on.wait()

    def after(self, mutation: Mutation) -> None:
        """Nothing."""


def test_a_probe_sees_no_call_at_work(tmp_path: Path) -> None:
    """While a call is at work on the object, nobody says what became of it."""

    async def told(store: Opened) -> None:
        stuck = Stuck(MutationKind.RENAME)
        with observe(stuck):
            working = asyncio.ensure_future(store.call(VOLUME, context(EARLIER)))
            await asyncio.to_thread(stuck.reached.wait)
            probed = await store.primary.probe(context(LATER), "create_volume", VOLUME)
            assert isinstance(probed, Undetermined)
            stuck.go_on.set()
            await working
        probed = await store.primary.probe(context(LATEST), "create_volume", VOLUME)
        assert isinstance(probed, Done)

    story(tmp_path, told)


def test_what_a_probe_did_not_see_never_happens(tmp_path: Path) -> None:
    """A call that was still waiting when a probe said ``Absent`` is refused when it comes."""

    async def told(store: Opened) -> None:
        await store.call(VOLUME, context(1))
        primary: tuple[Request, ...] = (CLONE, SNAPSHOT, GROW, GRANT, DELETE)
        for request in primary:
            probed = await store.primary.probe(context(LATER), verb_of(request), request)
            assert isinstance(probed, Absent)
            await refused(store, request, context(EARLIER), tmp_path)
        image: tuple[Request, ...] = (UPLOAD, PART, COMPLETE)
        for request in image:
            probed = await store.image.probe(context(LATER), verb_of(request), request)
            assert isinstance(probed, Absent)
        await refused(store, UPLOAD, context(EARLIER), tmp_path)
        await store.life_cycle.get(context(LATER))
        await refused(store, requests.MaintainStore(), context(EARLIER), tmp_path)

    story(tmp_path, told)


def test_a_late_revert_leaves_what_a_guest_wrote(tmp_path: Path) -> None:
    """A revert that was given up acts no more once its probe, or its repetition, was answered."""

    async def told(store: Opened) -> None:
        for number, request in enumerate((VOLUME, SNAPSHOT), 1):
            await store.call(request, context(number))
        await store.call(REVERT, context(LATER))
        await store.call(GRANT, context(LATER + 1))
        opening = requests.Open(volume="v", host="host")
        handle = await store.primary.open(context(LATER + 2), opening)
        async with open_block_io(handle) as volume:
            await volume.write_at(0, b"NEW")
            await volume.flush()
        await store.call(REVOKE, context(LATEST))
        await refused(store, REVERT, context(EARLIER), tmp_path)
        await store.call(GRANT, context(LATEST + 1))
        handle = await store.primary.open(context(LATEST + 2), opening)
        async with open_block_io(handle) as volume:
            assert await volume.read_at(0, 3) == b"NEW"

    story(tmp_path, told)
