"""The model of an image store."""

import msgspec

from holdfast.contract.answers import ObjectData, ObjectInfo, OwnedKind
from holdfast.contract.capabilities import (
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    RangeCapabilities,
    UploadCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AbortUpload,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    MaintainStore,
    StartUpload,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.image_store import NEVER_ISSUED, ImageModel
from holdfast_conformance.payload import digest_of_parts
from holdfast_conformance.plan import (
    FinishUpload,
    InjectFault,
    PutObject,
    SendPart,
    WalkObjects,
)
from holdfast_conformance.trace import ObjectBytes, Walked
from model_walks import ImageWalk

DECLARED = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20,
        part_min_bytes=16,
        part_max_bytes=64,
        parts_max=8,
        kinds=(ObjectKind.TEMPLATE,),
    ),
    list=ListCapabilities(page_max=100),
    range=RangeCapabilities(suffix=False),
)
MODEL = ImageModel(DECLARED)
WALK = ImageWalk(MODEL)
after, allowed, wrong = WALK.after, WALK.allowed, WALK.wrong
KIND = ObjectKind.TEMPLATE
START = StartUpload(upload="u", key="k", kind=KIND)


def put(key: str, size_bytes: int, *, content: int = 1, kind: ObjectKind = KIND) -> PutObject:
    return PutObject(
        upload=f"put-{key}-{content}",
        key=key,
        kind=kind,
        content_type="text/plain",
        content=content,
        size_bytes=size_bytes,
    )


def part(number: int, size_bytes: int = 20) -> SendPart:
    return SendPart(upload="u", number=number, content=number, size_bytes=size_bytes)


def test_parts_are_joined_by_number() -> None:
    """The object is the concatenation of the named parts by number, however they were sent."""
    state = after(START, part(3), part(1), part(2), FinishUpload(upload="u", numbers=(3, 1)))

    assert state.objects["k"].pieces == ((1, 20), (3, 20))
    assert state.uploads == {}


def test_what_was_never_sent_cannot_be_completed() -> None:
    """A missing or repeated part is Invalid, one below the minimum out of range or Invalid."""
    sent = (START, part(1), part(2, 15), part(3))

    assert allowed(FinishUpload(upload="u", numbers=(1, 4)), *sent) == {ErrorKind.INVALID}
    assert allowed(FinishUpload(upload="u", numbers=(1, 1)), *sent) == {ErrorKind.INVALID}
    assert allowed(FinishUpload(upload="u", numbers=(2, 3)), *sent) == {
        ErrorKind.INVALID,
        ErrorKind.OUT_OF_RANGE,
    }
    assert allowed(FinishUpload(upload="u", numbers=(1, 2)), *sent) == {None}


def test_a_lost_completion_is_out_of_range_only_where_its_parts_can_be_too_much() -> None:
    """A store of tiny objects may refuse the request for its size before it looks; no other may."""
    limits = msgspec.structs.replace(DECLARED.upload, object_max_bytes=1)
    tiny = ImageWalk(ImageModel(msgspec.structs.replace(DECLARED, upload=limits)))
    before = (START, part(1, 2), AbortUpload(upload="u"))
    lost = FinishUpload(upload="u", numbers=(1,))

    assert tiny.allowed(lost, *before) == {ErrorKind.NOT_FOUND, ErrorKind.OUT_OF_RANGE}
    assert allowed(lost, *before) == {ErrorKind.NOT_FOUND}


def test_a_lost_completion_of_two_parts_is_out_of_range_only_where_parts_can_be_too_small() -> None:
    """Parts that were never sent are named with no size, which is too small where any size is."""
    any_size = msgspec.structs.replace(DECLARED.upload, part_min_bytes=0)
    lax = ImageWalk(ImageModel(msgspec.structs.replace(DECLARED, upload=any_size)))
    before = (START, part(1), AbortUpload(upload="u"))
    lost = FinishUpload(upload="u", numbers=(1, 2))

    assert lax.allowed(lost, *before) == {ErrorKind.NOT_FOUND}
    assert allowed(lost, *before) == {ErrorKind.NOT_FOUND, ErrorKind.OUT_OF_RANGE}


def test_a_page_beyond_the_limit_may_be_cut_or_refused() -> None:
    """A store gives what it gives at once, or says that it was asked for more."""
    either = {None, ErrorKind.OUT_OF_RANGE}
    unknown = {ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE}

    assert allowed(ListObjects(limit=100)) == {None}
    assert allowed(ListObjects(limit=101)) == either
    assert allowed(ListObjects(limit=101, token=NEVER_ISSUED)) == unknown


def test_a_part_that_no_upload_can_have_may_be_called_out_of_range() -> None:
    """Missing and beyond the limit of parts: a driver may say either."""
    either = {ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE}

    assert allowed(FinishUpload(upload="u", numbers=(1, 9)), START, part(1)) == either
    assert allowed(FinishUpload(upload="u", numbers=(1,) * 9), START, part(1)) == either
    assert allowed(FinishUpload(upload="u", numbers=(1, 1)), START, part(1)) == {ErrorKind.INVALID}


def test_after_a_wrong_digest_the_upload_may_be_open_or_gone() -> None:
    """Corrupt is the only answer; the earlier object stays; both fates of the upload are legal."""
    before = after(put("k", 50), START, part(1))
    expectation = MODEL.expect(before, FinishUpload(upload="u", numbers=(1,), wrong_digest=True))

    assert expectation.kinds == {ErrorKind.CORRUPT}
    assert [set(branch.state.uploads) for branch in expectation.branches] == [{"u"}, set()]
    assert all(branch.state.objects == before.objects for branch in expectation.branches)


def test_an_upload_key_means_one_upload() -> None:
    """The same arguments again succeed; others are a Conflict and change nothing."""
    other = StartUpload(upload="u", key="another", kind=KIND)

    assert allowed(START, START) == {None}
    assert allowed(other, START) == {ErrorKind.CONFLICT}
    assert MODEL.expect(after(START), other).likely.uploads == after(START).uploads


def test_maintenance_lets_nothing_new_in() -> None:
    """New uploads are refused by Precondition; what is there is read."""
    assert allowed(START, MaintainStore()) == {ErrorKind.PRECONDITION}
    assert allowed(put("n", 1), MaintainStore()) == {ErrorKind.PRECONDITION}
    assert allowed(GetObject(key="k"), put("k", 5), MaintainStore()) == {None}


def test_what_is_not_declared_is_unsupported() -> None:
    """An undeclared kind and a read from the end are refused."""
    assert allowed(put("k", 5, kind=ObjectKind.ISO)) == {ErrorKind.UNSUPPORTED}
    assert allowed(GetObject(key="k", offset_bytes=-1), put("k", 5)) == {ErrorKind.UNSUPPORTED}


def test_deleting_and_aborting_the_absent_succeeds() -> None:
    """Absence is success for delete and abort, and NotFound for a look."""
    assert allowed(DeleteObject(key="k")) == {None}
    assert allowed(AbortUpload(upload="u")) == {None}
    assert allowed(HeadObject(key="k")) == {ErrorKind.NOT_FOUND}


def test_a_range_that_starts_past_the_end_is_out_of_range() -> None:
    """One past the end is refused; right at the end both readings are legal."""
    assert allowed(GetObject(key="k", offset_bytes=6), put("k", 5)) == {ErrorKind.OUT_OF_RANGE}
    assert allowed(GetObject(key="k", offset_bytes=5), put("k", 5)) == {
        None,
        ErrorKind.OUT_OF_RANGE,
    }


def test_a_range_is_compared_byte_for_byte() -> None:
    """Right bytes are accepted; bytes shifted by one, or a wrong offset, are told apart."""
    step = GetObject(key="k", offset_bytes=10, length_bytes=5)
    whole = ((1, 50),)
    info = ObjectInfo(
        key="k",
        id="i",
        kind=KIND,
        content_type="text/plain",
        size_bytes=50,
        sha256=digest_of_parts(whole, 0, 50),
    )

    def answer(start: int, offset_bytes: int) -> ObjectBytes:
        data = ObjectData(object=info, offset_bytes=offset_bytes, data=b"")
        return ObjectBytes(data, 5, digest_of_parts(whole, start, 5))

    assert wrong(step, answer(10, 10), put("k", 50)) == set()
    assert wrong(step, answer(11, 10), put("k", 50)) == {Aspect.BYTES}
    assert wrong(step, answer(10, 0), put("k", 50)) == {Aspect.OFFSET}


def test_a_listing_is_in_byte_order_with_each_prefix_once() -> None:
    """Missing, repeated and misplaced names and overfull pages are told apart."""
    before = tuple(put(key, 1) for key in ("a/1", "a/2", "b", "c"))
    step = WalkObjects(prefix="", delimiter="/", limit=2)

    def seen(pages: tuple[tuple[str, ...], ...], *prefixes: str) -> set[Aspect]:
        return wrong(step, Walked(pages, (prefixes,)), *before)

    assert seen((("b",), ("c",)), "a/") == set()
    assert seen((("c",), ("b",)), "a/") == {Aspect.ORDER}
    assert seen((("b", "c"),)) == {Aspect.MISSING}
    assert seen((("b", "c"),), "a/", "a/") == {Aspect.DUPLICATE}
    assert seen((("b", "c"), ("a/1",)), "a/") == {Aspect.EXTRA, Aspect.ORDER}


def test_a_backend_that_is_down_did_nothing_or_nobody_knows() -> None:
    """While the backend is down a put is Unavailable, or Unknown with every possible effect."""
    down = after(InjectFault(fault=Fault.DOWN))
    expectation = MODEL.expect(down, put("k", 5))
    unknown = [branch.state for branch in expectation.branches if branch.kind is ErrorKind.UNKNOWN]

    assert expectation.kinds == {ErrorKind.UNAVAILABLE, ErrorKind.UNKNOWN}
    assert {(len(state.objects), len(state.uploads)) for state in unknown} == {
        (0, 0),
        (1, 0),
        (0, 1),
    }


def test_the_backend_holds_objects_and_unfinished_uploads() -> None:
    """What must be found is the store, each object whole, and each open upload as unfinished."""
    things = {thing.kind: thing for thing in MODEL.things(after(put("k", 5), START), "p")}

    assert set(things) == {OwnedKind.STORE, OwnedKind.OBJECT, OwnedKind.UPLOAD}
    assert things[OwnedKind.OBJECT].digest == digest_of_parts(((1, 5),), 0, 5)
    assert things[OwnedKind.UPLOAD].unfinished is True
