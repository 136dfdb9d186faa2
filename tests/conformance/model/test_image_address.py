"""The model of copies and of temporary addresses."""

import pytest

from holdfast.contract.answers import ObjectInfo, OwnedKind
from holdfast.contract.capabilities import (
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    UploadCapabilities,
    UrlCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import (
    CopyObject,
    DeleteObject,
    GetObject,
    MaintainStore,
    OpenObject,
)
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress, Method
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.image_state import ImageSituation
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.payload import digest_of_parts, middle
from holdfast_conformance.plan import PutObject, Step
from holdfast_conformance.trace import (
    AddressMade,
    Fetched,
    FetchResult,
    HandleAnswer,
    HandleRead,
)
from model_walks import ImageWalk

_S = ImageSituation
DECLARED = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20, part_min_bytes=1, part_max_bytes=1 << 20, parts_max=8
    ),
    list=ListCapabilities(page_max=100),
    copy=CopyCapabilities(),
    url=UrlCapabilities(expires_max_s=100.0),
)
MODEL = ImageModel(DECLARED)
WALK = ImageWalk(MODEL)
after, allowed, wrong = WALK.after, WALK.allowed, WALK.wrong
COPY = CopyObject(key="o", target="p")
DIGEST = digest_of_parts(((1, 50),), 0, 50)
GIVEN = Fetched(result=FetchResult.GIVEN, status=200, length_bytes=50, sha256=DIGEST)
REFUSED = Fetched(result=FetchResult.REFUSED, status=403)
FAILED = Fetched(result=FetchResult.FAILED, status=500)
NOTHING = Fetched(result=FetchResult.NOTHING)
FETCH = FetchAddress(address="a")


def put(
    key: str,
    content: int = 1,
    *,
    kind: ObjectKind = ObjectKind.ISO,
    content_type: str = "text/plain",
) -> PutObject:
    return PutObject(
        upload=f"put-{key}-{content}-{kind}-{content_type}",
        key=key,
        kind=kind,
        content_type=content_type,
        content=content,
        size_bytes=50,
    )


def make(address: str = "a", key: str = "o", expires_s: float = 60.0) -> MakeAddress:
    return MakeAddress(address=address, key=key, expires_s=expires_s)


def situations(step: Step, *before: Step) -> frozenset[str]:
    return MODEL.expect(after(*before), step).situations


def test_a_copy_is_an_object_with_a_life_of_its_own() -> None:
    """It is in the backend beside its source and stays there without it."""
    things = {
        thing.key: thing.digest
        for thing in MODEL.things(after(put("o"), COPY, DeleteObject(key="o")), "run")
        if thing.kind is OwnedKind.OBJECT
    }

    assert things == {"p": DIGEST}
    assert allowed(COPY, put("o")) == {None}
    assert allowed(COPY) == {ErrorKind.NOT_FOUND}
    assert allowed(COPY, put("p")) == {ErrorKind.NOT_FOUND}


@pytest.mark.parametrize(
    "there", [put("p", 2), put("p", kind=ObjectKind.VOLUME), put("p", content_type="a/b")]
)
def test_a_copy_replaces_nothing(there: PutObject) -> None:
    """Another object under the target's key is a conflict; the same one is the answer."""
    assert allowed(COPY, put("o"), there) == {ErrorKind.CONFLICT}
    assert allowed(COPY, put("o"), put("p")) == {None}
    assert allowed(COPY, put("o"), COPY) == {None}
    assert allowed(CopyObject(key="o", target="o"), put("o")) == {None}


def test_maintenance_lets_no_copy_in() -> None:
    """Only what is there already may be answered."""
    rest = (put("o"), MaintainStore())

    assert allowed(COPY, *rest) == {ErrorKind.PRECONDITION}
    assert None in allowed(COPY, put("o"), COPY, MaintainStore())


def test_the_answer_to_a_copy_is_the_target() -> None:
    """Key, size, digest, kind and content type are compared."""
    right = ObjectInfo(
        key="p",
        id="1",
        kind=ObjectKind.ISO,
        content_type="text/plain",
        size_bytes=50,
        sha256=DIGEST,
    )
    other = ObjectInfo(
        key="o", id="1", kind=ObjectKind.VOLUME, content_type="a/b", size_bytes=1, sha256=""
    )

    assert wrong(COPY, right, put("o")) == set()
    assert wrong(COPY, other, put("o")) == {
        Aspect.KEY,
        Aspect.KIND,
        Aspect.CONTENT_TYPE,
        Aspect.SIZE,
        Aspect.DIGEST,
    }


def test_what_becomes_of_a_source_is_seen_at_its_copy() -> None:
    """Reading a copy counts, and counts more once its source is gone or another."""
    read = GetObject(key="p")

    assert _S.COPY_READ in situations(read, put("o"), COPY)
    assert _S.COPY_ALONE not in situations(read, put("o"), COPY)
    assert _S.COPY_ALONE in situations(read, put("o"), COPY, put("o", 2))
    assert _S.SOURCE_GONE in situations(DeleteObject(key="o"), put("o"), COPY)
    assert _S.SOURCE_GONE not in situations(DeleteObject(key="p"), put("o"), COPY)


def test_an_address_that_cannot_be_made_is_refused() -> None:
    """Without an object, for no time, or for too long."""
    assert allowed(make(), put("o")) == {None}
    assert allowed(make()) == {ErrorKind.NOT_FOUND}
    assert allowed(make(expires_s=0.0), put("o")) == {ErrorKind.INVALID}
    assert allowed(make(expires_s=101.0), put("o")) == {ErrorKind.OUT_OF_RANGE}
    assert wrong(make(), AddressMade(), put("o")) == set()
    assert wrong(make(), AddressMade("an empty address"), put("o")) == {Aspect.ADDRESS}


@pytest.mark.parametrize("reply", [REFUSED, FAILED, NOTHING, Fetched(result=FetchResult.GIVEN)])
def test_an_address_gives_its_object_and_nothing_else(reply: Fetched) -> None:
    """All of the object, while it lasts."""
    assert wrong(FETCH, GIVEN, put("o"), make()) == set()
    assert wrong(FETCH, reply, put("o"), make()) == {Aspect.ADDRESS}


@pytest.mark.parametrize(
    "step",
    [
        FetchExpired(address="a"),
        FetchAddress(address="a", method=Method.PUT),
        FetchAddress(address="a", method=Method.DELETE),
        FetchAddress(address="a", path_of="b"),
    ],
)
def test_everything_else_must_be_refused(step: FetchAddress | FetchExpired) -> None:
    """A request that gets no answer was not refused, either."""
    before = (put("o"), put("other", 2), make(), make("b", "other"))

    assert wrong(step, REFUSED, *before) == set()
    for reply in (GIVEN, FAILED, NOTHING):
        assert wrong(step, reply, *before) == {Aspect.ADDRESS}


def test_an_object_that_is_gone_is_not_given_and_a_new_one_may_be() -> None:
    """After the object was deleted nothing comes; after it was replaced nothing old does."""
    gone = (put("o"), make(), DeleteObject(key="o"))
    replaced = (put("o", 2), make(), put("o"))

    assert wrong(FETCH, REFUSED, *gone) == set()
    assert wrong(FETCH, GIVEN, *gone) == {Aspect.ADDRESS}
    assert wrong(FETCH, REFUSED, *replaced) == wrong(FETCH, GIVEN, *replaced) == set()
    assert wrong(FETCH, GIVEN, put("o"), make(), put("o", 2)) == {Aspect.ADDRESS}


def test_an_address_may_be_over_before_a_slow_machine_tries_it() -> None:
    """One that was made for moments proves nothing by working or not."""
    brief = (put("o"), make(expires_s=1.0))

    assert wrong(FETCH, REFUSED, *brief) == wrong(FETCH, GIVEN, *brief) == set()
    assert _S.FETCH not in situations(FETCH, *brief)


def test_where_no_address_was_made_nothing_is_tried() -> None:
    """A reduced plan may have lost the step that made it."""
    assert wrong(FETCH, NOTHING, put("o")) == set()
    assert wrong(FETCH, GIVEN, put("o")) == {Aspect.ADDRESS}
    assert wrong(FetchAddress(address="a", path_of="b"), NOTHING, put("o"), make()) == set()
    assert situations(FETCH, put("o")) == frozenset()


def test_a_second_address_does_not_end_the_first() -> None:
    """It is seen where the first is used after the second was made."""
    both = (put("o"), make("a"), make("b"))

    assert _S.FETCH_SECOND in situations(FETCH, *both)
    assert _S.FETCH_SECOND not in situations(FetchAddress(address="b"), *both)


def test_what_a_handle_gives_is_compared() -> None:
    """Size, the whole, and a range; an error is a difference, too."""
    opening, handle = OpenObject(key="o"), FileHandle(path="/o", size_bytes=50)
    digest = digest_of_parts(((1, 50),), *middle(50))
    right = HandleRead(size_bytes=50, sha256=DIGEST, middle_sha256=digest)
    shifted = HandleRead(size_bytes=50, sha256=DIGEST, middle_sha256=DIGEST)
    short = HandleRead(size_bytes=49, sha256="", middle_sha256=digest)
    failed = HandleRead(size_bytes=50, problem="Denied: no")

    assert wrong(opening, HandleAnswer(handle, right), put("o")) == set()
    assert wrong(opening, HandleAnswer(handle, shifted), put("o")) == {Aspect.BYTES}
    assert wrong(opening, HandleAnswer(handle, short), put("o")) == {Aspect.LENGTH, Aspect.BYTES}
    assert wrong(opening, HandleAnswer(handle, failed), put("o")) == {Aspect.BYTES}
    assert wrong(opening, HandleAnswer(handle), put("o")) == {Aspect.BYTES}
