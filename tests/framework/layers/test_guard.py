"""What a guard makes of a driver's answers and errors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from guarded import (
    CTX,
    FULL,
    FULL_IMAGE,
    Scripted,
    call,
    image,
    part,
    primary,
)
from holdfast.contract import answers, errors, requests
from holdfast.contract.capabilities import BYTES_MAX, AccessMode, ObjectKind
from holdfast.contract.errors import DriverError, Internal, Invalid, NotFound, Unsupported
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import Request
from holdfast.layers import (
    LifeCycleGuard,
    guard_image,
    guard_life_cycle,
    guard_primary,
)


def test_driver_errors_learn_their_verb_and_object() -> None:
    """An error says which verb failed and on which object, also where the driver did not say."""
    driver = Scripted(FULL, NotFound("gone"))
    with pytest.raises(NotFound) as caught:
        call(primary(driver), requests.GetVolume(key="v"))

    assert str(caught.value) == "get_volume 'v': gone"


def test_other_exceptions_become_internal_with_their_cause() -> None:
    """What no driver may raise becomes Internal, names the type and keeps the original."""
    foreign = KeyError("row 7")
    with pytest.raises(Internal) as caught:
        call(primary(Scripted(FULL, foreign)), requests.GetVolume(key="v"))

    assert "KeyError: 'row 7'" in caught.value.cause
    assert caught.value.__cause__ is foreign
    assert not caught.value.final


def test_a_base_class_is_no_error_a_driver_may_raise() -> None:
    """The bare base class of errors has no kind, and becomes Internal."""
    with pytest.raises(Internal, match="DriverError, which is not one"):
        call(primary(Scripted(FULL, DriverError("x"))), requests.GetVolume(key="v"))


@pytest.mark.parametrize("configured", [True, False])
def test_a_foreign_message_never_shows_a_secret(configured: bool) -> None:
    """A foreign message that holds a secret of the request or configuration is left out."""
    driver: Any = Scripted(FULL, ValueError("login with s3cret failed"))
    guard = guard_primary(driver, ("s3cret",) if configured else ())
    request = requests.Grant(volume="v", host="h", secret="" if configured else "s3cret")
    with pytest.raises(Internal) as caught:
        call(guard, request)

    assert str(caught.value) == "grant 'v': the driver raised ValueError"


class Speechless(Exception):
    """Cannot be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no message")


def test_an_exception_without_a_message_to_be_had_becomes_internal() -> None:
    """A foreign exception whose own message raises does not get past the guard."""
    with pytest.raises(Internal) as caught:
        call(primary(Scripted(FULL, Speechless())), requests.GetVolume(key="v"))

    told = "the driver raised Speechless, whose message raised RuntimeError"
    assert str(caught.value) == f"get_volume 'v': {told}"


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_what_is_no_error_passes(error: type[BaseException]) -> None:
    """Cancellation and other base exceptions are not the guard's to type."""

    async def story() -> None:
        with pytest.raises(error):
            await primary(Scripted(FULL, error())).get_volume(CTX, requests.GetVolume(key="v"))

    asyncio.run(story())


NONSENSE: list[Any] = [
    None,
    True,
    "ok",
    answers.Gone(key="v"),
    answers.VolumeInfo(key="other", id="id", size_bytes=1),
    answers.VolumeInfo(key="v", id=None, size_bytes=1),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    answers.VolumeInfo(key="v", id="id", size_bytes="1"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    answers.VolumeInfo(key="v", id="id", size_bytes=2**70),
    answers.VolumeInfo(key="v", id="\ud800", size_bytes=1),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_an_answer_that_is_none_is_nonsense(answer: object) -> None:
    """An answer of another type, about another object or with wrong fields is Internal."""
    with pytest.raises(Internal, match="nonsense"):
        call(primary(Scripted(FULL, answer)), requests.GetVolume(key="v"))


def test_answers_about_another_object_are_nonsense() -> None:
    """Grants, parts and objects must be those that were asked for."""
    other = answers.GrantInfo(id="g", volume="v", host="other", mode=AccessMode.EXCLUSIVE)
    with pytest.raises(Internal, match=r"'v\|h\|exclusive'"):
        call(primary(Scripted(FULL, other)), requests.Grant(volume="v", host="h"))
    wrong_part = answers.PartInfo(part=part(2, 1))
    with pytest.raises(Internal, match="nonsense"):
        call(
            image(Scripted(FULL_IMAGE, wrong_part)),
            requests.UploadPart(upload="u", number=1, data=b"x"),
        )
    found = answers.ObjectInfo(
        key="p", id="i", kind=ObjectKind.ISO, content_type="t", size_bytes=0, sha256=""
    )
    data = answers.ObjectData(object=found, offset_bytes=0, data=b"")
    with pytest.raises(Internal, match="nonsense"):
        call(image(Scripted(FULL_IMAGE, data)), requests.GetObject(key="o"))
    with pytest.raises(Internal, match="no proper handle"):
        call(image(Scripted(FULL_IMAGE, data)), requests.OpenObject(key="p"))
    text: Any = answers.ObjectData(object=found, offset_bytes=0, data="text")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(Internal, match="no proper ObjectData"):
        call(image(Scripted(FULL_IMAGE, text)), requests.GetObject(key="p"))


@pytest.mark.parametrize("driver", [object(), Scripted(None), Scripted("x"), Scripted(FULL_IMAGE)])
def test_a_driver_without_proper_capabilities_cannot_be_guarded(driver: Any) -> None:
    """What declares no capabilities of its role is refused at once."""
    with pytest.raises(Internal):
        guard_primary(driver)


def test_a_missing_or_synchronous_verb_is_internal() -> None:
    """A verb that is not there, or that is no coroutine, is an error of the driver."""

    class Half:
        capabilities = FULL

        def get_volume(self, *_: object) -> answers.VolumeInfo:
            return answers.VolumeInfo(key="v", id="id", size_bytes=1)

    guard = primary(Half())
    with pytest.raises(Internal, match="TypeError"):
        call(guard, requests.GetVolume(key="v"))
    with pytest.raises(Internal, match="AttributeError"):
        call(guard, requests.DeleteVolume(key="v"))


def test_errors_inside_a_stream_are_typed() -> None:
    """An exception raised between two items of enumerate is typed like any other."""

    class Streaming(Scripted):
        async def enumerate(self, *_: object) -> AsyncIterator[answers.OwnedThing]:
            yield answers.OwnedThing(kind=answers.OwnedKind.VOLUME, id="1", key="v")
            raise OSError("the disk is gone")

    found: list[answers.OwnedThing] = []

    async def story() -> None:
        async for thing in primary(Streaming(FULL)).enumerate(CTX, requests.EnumerateOwned()):
            found.append(thing)  # noqa: PERF401 - what came before the error matters

    with pytest.raises(Internal, match="OSError: the disk is gone") as caught:
        asyncio.run(story())

    assert caught.value.verb == "enumerate"
    assert len(found) == 1


def test_a_stream_of_nonsense_is_typed() -> None:
    """An item that is no owned thing, or no stream at all, is Internal."""

    class Streaming(Scripted):
        async def enumerate(self, *_: object) -> AsyncIterator[Any]:
            yield "a volume"

    async def story(driver: Any) -> None:
        async for _ in primary(driver).enumerate(CTX, requests.EnumerateOwned()):
            pytest.fail("it passed")

    with pytest.raises(Internal, match="nonsense"):
        asyncio.run(story(Streaming(FULL)))

    class NoStream(Scripted):
        def enumerate(self, *_: object) -> None:
            return None

    with pytest.raises(Internal, match="TypeError"):
        asyncio.run(story(NoStream(FULL)))


OUTSIDE = [-1, -(1 << 63), -(1 << 64), 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 99_999]


@pytest.mark.parametrize("number", OUTSIDE, ids=range(len(OUTSIDE)))
def test_a_number_that_no_catalogue_can_hold_is_nonsense(number: int) -> None:
    """Whatever number a driver tells fits 63 bits and is not below nothing, in every answer."""
    volume = answers.VolumeInfo(key="v", id="i", size_bytes=number)
    figures = {"total_bytes": number, "used_bytes": 0, "allocated_bytes": 0}
    cases: list[tuple[Request, Any]] = [
        (requests.GetVolume(key="v"), volume),
        (requests.ListVolumes(), answers.VolumePage(items=(volume,))),
        (
            requests.GetSnapshot(key="s"),
            answers.SnapshotInfo(key="s", id="i", volume="v", size_bytes=number),
        ),
        (requests.ListPools(), answers.PoolList(items=(answers.PoolInfo(name="p", **figures),))),
        (requests.GetStats(), answers.StatsInfo(**figures, objects=0)),
        (requests.GetStats(), answers.StatsInfo(**figures | {"total_bytes": 0}, objects=number)),
        (requests.Open(volume="v", host="h"), FileHandle(path="/x", size_bytes=number)),
    ]
    for request, answer in cases:
        with pytest.raises(Internal, match="nonsense"):
            call(primary(Scripted(FULL, answer)), request)
    told = answers.ObjectInfo(
        key="k", id="i", kind=ObjectKind.ISO, content_type="c", size_bytes=number, sha256=""
    )
    proper = msgspec.structs.replace(told, size_bytes=1)
    sent = requests.UploadPart(upload="u", number=1, data=b"x" * 10)
    get = requests.GetObject(key="k")
    of_objects: list[tuple[Request, Any]] = [
        (requests.HeadObject(key="k"), told),
        (requests.ListObjects(limit=1), answers.ObjectPage(items=(told,))),
        (get, answers.ObjectData(object=told, offset_bytes=0, data=b"")),
        (get, answers.ObjectData(object=proper, offset_bytes=number, data=b"")),
        (sent, answers.PartInfo(part=part(1, number))),
    ]
    for request, answer in of_objects:
        with pytest.raises(Internal, match="nonsense"):
            call(image(Scripted(FULL_IMAGE, answer)), request)


def test_pools_that_are_too_large_together_are_nonsense() -> None:
    """What is summed up can be summed up."""
    pool = answers.PoolInfo(name="p", total_bytes=1 << 62, used_bytes=0, allocated_bytes=0)
    assert call(primary(Scripted(FULL, answers.PoolList(items=(pool,)))), requests.ListPools())
    with pytest.raises(Internal, match="nonsense"):
        call(primary(Scripted(FULL, answers.PoolList(items=(pool, pool)))), requests.ListPools())


@pytest.mark.parametrize("number", OUTSIDE, ids=range(len(OUTSIDE)))
def test_an_owned_thing_that_is_told_improperly_is_set_apart(number: int) -> None:
    """It is named as one that cannot be read, says what is wrong, and stops no other."""
    before = answers.OwnedThing(
        kind=answers.OwnedKind.VOLUME, id="1", key="v", size_bytes=BYTES_MAX
    )
    broken: Any = {"kind": answers.OwnedKind.VOLUME, "id": "2", "key": "w"}
    wrong = [
        answers.OwnedThing(**broken, size_bytes=number),
        answers.OwnedThing(**broken | {"key": "\udcff"}),
        answers.OwnedThing(**broken | {"kind": "no kind"}),
        answers.OwnedThing(**broken | {"id": None}),
    ]

    class Streaming(Scripted):
        async def enumerate(self, *_: object) -> AsyncIterator[answers.OwnedThing]:
            for thing in (*wrong, before):
                yield thing

    async def story() -> list[answers.OwnedThing]:
        stream = primary(Streaming(FULL)).enumerate(CTX, requests.EnumerateOwned())
        return [thing async for thing in stream]

    *apart, last = asyncio.run(story())
    assert last == before
    assert {one.kind for one in apart} == {answers.OwnedKind.UNREADABLE}
    assert [one.id for one in apart] == ["2", "2", "2", "an entry without an id"]
    assert [one.key for one in apart] == ["w", r"\udcff", "w", "w"]
    fields = ("size_bytes", "key", "kind", "id")
    assert all(field in one.reason for field, one in zip(fields, apart, strict=True))


def test_probes_are_checked_like_calls() -> None:
    """Only verbs that change something can be probed, and Done must hold that verb's answer."""

    async def probe(answer: Any, verb: str, request: Request) -> answers.ProbeResult:
        return await primary(Scripted(FULL, answer)).probe(CTX, verb, request)

    delete = requests.DeleteVolume(key="v")
    gone = answers.Done(answer=answers.Gone(key="v"))
    assert asyncio.run(probe(gone, "delete_volume", delete)) == gone
    wrong: list[tuple[type[DriverError], Any, str, Request]] = [
        (Invalid, gone, "get_volume", requests.GetVolume(key="v")),
        (Invalid, gone, "create_volume", delete),
        (Invalid, gone, "", delete),
        (Unsupported, gone, "revert_volume", requests.RevertVolume(key="v", snapshot="s")),
        (Internal, answers.Done(answer=answers.Gone(key="w")), "delete_volume", delete),
        (Internal, None, "delete_volume", delete),
        (
            Internal,
            answers.Done(answer=answers.VolumeInfo(key="v", id="i", size_bytes=1)),
            "delete_volume",
            delete,
        ),
    ]
    for error, answer, verb, request in wrong:
        with pytest.raises(error):
            asyncio.run(probe(answer, verb, request))


class Finished(answers.Done, frozen=True, kw_only=True):
    """An answer of a driver's own class."""


def test_an_answer_may_be_of_a_drivers_own_class() -> None:
    """It is what its base is, and is checked as that; a probe's too."""

    class Erased(answers.Gone, frozen=True, kw_only=True):
        """Gone, and more than that."""

    delete = requests.DeleteVolume(key="v")
    for gone in (answers.Gone(key="v"), Erased(key="v")):
        assert call(primary(Scripted(FULL, gone)), delete) == gone
        done = Finished(answer=gone)
        driver = primary(Scripted(FULL, done))
        assert asyncio.run(driver.probe(CTX, "delete_volume", delete)) == done
    other = Finished(answer=answers.Gone(key="w"))
    with pytest.raises(Internal, match="nonsense"):
        asyncio.run(primary(Scripted(FULL, other)).probe(CTX, "delete_volume", delete))


def test_a_verb_is_never_asked_with_the_request_of_another() -> None:
    """What is checked as a look at an object deletes none, in no port."""
    scripted: Any = Scripted(FULL, answers.Gone(key="v"))
    pictures: Any = Scripted(FULL_IMAGE, answers.Gone(key="v"))
    stores: Any = Scripted(None, answers.StoreInfo(id="1", name="s", state=answers.StoreState.UP))
    guarded: list[tuple[Any, str, Request]] = [
        (guard_primary(scripted), "delete_volume", requests.GetVolume(key="v")),
        (guard_image(pictures), "delete", requests.HeadObject(key="v")),
        (guard_life_cycle(stores), "attach", requests.DeleteStore()),
        (guard_life_cycle(stores), "attach", requests.GetVolume(key="v")),
    ]
    for port, verb, request in guarded:
        with pytest.raises(Invalid):
            asyncio.run(getattr(port, verb)(CTX, request))
    assert scripted.asked + pictures.asked + stores.asked == []


def test_a_guard_is_not_guarded_again() -> None:
    """A guard around a guard is the guard itself, so that a provider may bring its own."""
    outer = primary(Scripted(FULL))
    assert guard_primary(outer) is outer
    pictures = image(Scripted(FULL_IMAGE))
    assert guard_image(pictures) is pictures
    scripted: Any = Scripted(None)
    life_cycle = guard_life_cycle(scripted)
    assert isinstance(life_cycle, LifeCycleGuard)
    assert guard_life_cycle(life_cycle) is life_cycle


def test_the_life_cycle_is_guarded_too() -> None:
    """Names are checked, answers are typed and foreign exceptions become Internal."""
    store = answers.StoreInfo(id="1", name="s", state=answers.StoreState.UP)

    def guarded(answer: Any) -> LifeCycleGuard:
        scripted: Any = Scripted(None, answer)
        return guard_life_cycle(scripted)

    assert call(guarded(store), requests.InitializeStore(name="s")) == store
    assert asyncio.run(guarded(store).get(CTX)) == store
    for request in (requests.InitializeStore(name=""), requests.AttachHost(host="a\0")):
        with pytest.raises(Invalid):
            call(guarded(store), request)
    with pytest.raises(Internal, match="nonsense"):
        call(guarded(None), requests.MaintainStore())
    with pytest.raises(Internal, match="OSError"):
        asyncio.run(guarded(OSError("x")).get(CTX))


def test_every_error_of_the_contract_passes_as_it_is() -> None:
    """Each class of the taxonomy keeps its type on the way through the guard."""
    kinds = {error.kind: error for error in DriverError.__subclasses__()}
    assert set(kinds) == set(errors.ErrorKind)
    for error in kinds.values():
        with pytest.raises(error) as caught:
            call(primary(Scripted(FULL, error("x"))), requests.GetVolume(key="v"))
        assert type(caught.value) is error
