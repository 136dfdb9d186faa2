import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors, infos, requests
from holdfast.capabilities import (
    AccessCapabilities,
    AccessMode,
    CloneCapabilities,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    PrimaryCapabilities,
    QosCapabilities,
    RangeCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    UrlCapabilities,
    VolumeCapabilities,
)
from holdfast.errors import DriverError, Internal, Invalid, NotFound, OutOfRange, Unsupported
from holdfast.handles import FileHandle
from holdfast.layers import (
    ImageGuard,
    LifeCycleGuard,
    PrimaryGuard,
    guard_image,
    guard_life_cycle,
    guard_primary,
)
from holdfast.requests import CallContext, PartReference, Request, verb_of

CTX = CallContext(operation="op-1", deadline=1e9)
BARE = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=4096, size_max_bytes=40960, size_granularity_bytes=4096
    ),
    access=AccessCapabilities(modes=(AccessMode.EXCLUSIVE,)),
)
FULL = msgspec.structs.replace(
    BARE,
    resize=ResizeCapabilities(shrink=False),
    snapshot=SnapshotCapabilities(),
    clone=CloneCapabilities(from_snapshot=True),
    qos=QosCapabilities(iops_min=10, iops_max=100),
)
BARE_IMAGE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=100,
        part_min_bytes=10,
        part_max_bytes=40,
        parts_max=3,
        kinds=(ObjectKind.ISO,),
    ),
    list=ListCapabilities(page_max=5, delimiter=False),
)
FULL_IMAGE = msgspec.structs.replace(
    BARE_IMAGE,
    range=RangeCapabilities(suffix=False),
    url=UrlCapabilities(expires_max_s=60.0),
)


class Scripted:
    """A driver that answers every verb with one thing, and counts how often it was asked."""

    def __init__(self, capabilities: Any, answer: Any = None) -> None:
        self.capabilities = capabilities
        self.asked: list[str] = []
        self._answer = answer

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def called(*_: object) -> Any:
            self.asked.append(verb)
            if isinstance(self._answer, BaseException):
                raise self._answer
            return self._answer

        return called


def primary(driver: Any) -> PrimaryGuard:
    return guard_primary(driver)


def image(driver: Any) -> ImageGuard:
    return guard_image(driver)


def call(guard: Any, request: Request) -> Any:
    return asyncio.run(getattr(guard, verb_of(request))(CTX, request))


def part(number: int, size_bytes: int) -> PartReference:
    return PartReference(number=number, size_bytes=size_bytes, tag="t")


def completing(*parts: PartReference) -> Request:
    return requests.CompleteUpload(upload="u", parts=parts, size_bytes=1, sha256="")


QOS = requests.Qos(iops_min=20, iops_max=50)
HANDLE = FileHandle(path="/x", size_bytes=1)
UNDECLARED: list[tuple[PrimaryCapabilities, Request]] = [
    (BARE, requests.ResizeVolume(key="v", size_bytes=4096)),
    (FULL, requests.ResizeVolume(key="v", size_bytes=4096, shrink=True)),
    (BARE, requests.ModifyVolume(key="v", qos=QOS)),
    (BARE, requests.CreateSnapshot(key="s", volume="v")),
    (BARE, requests.GetSnapshot(key="s")),
    (BARE, requests.ListSnapshots()),
    (BARE, requests.DeleteSnapshot(key="s")),
    (FULL, requests.RevertVolume(key="v", snapshot="s")),
    (FULL, requests.CopyVolume(key="v", target="w")),
    (FULL, requests.Grant(volume="v", host="h", mode=AccessMode.SHARED)),
    (FULL, requests.GetStats(volume="v")),
    (
        BARE,
        requests.CreateVolume(key="v", size_bytes=4096, source=requests.SnapshotSource("s")),
    ),
    (FULL, requests.CreateVolume(key="v", size_bytes=4096, source=requests.VolumeSource("w"))),
    (
        FULL,
        requests.CreateVolume(key="v", size_bytes=4096, source=requests.DataSource(HANDLE, 1)),
    ),
    (FULL, requests.HeadObject(key="o")),
]
UNDECLARED_IMAGE: list[tuple[ImageCapabilities, Request]] = [
    (FULL_IMAGE, requests.StartUpload(upload="u", key="o", kind=ObjectKind.TEMPLATE)),
    (BARE_IMAGE, requests.GetObject(key="o", offset_bytes=1)),
    (BARE_IMAGE, requests.GetObject(key="o", length_bytes=1)),
    (FULL_IMAGE, requests.GetObject(key="o", offset_bytes=-1)),
    (FULL_IMAGE, requests.ListObjects(delimiter="/", limit=1)),
    (FULL_IMAGE, requests.CopyObject(key="o", target="p")),
    (BARE_IMAGE, requests.TemporaryUrl(key="o", expires_s=1.0)),
    (FULL_IMAGE, requests.GetStats(volume="v")),
]


@pytest.mark.parametrize(("declared", "request_"), UNDECLARED)
def test_a_primary_driver_never_sees_the_undeclared(
    declared: PrimaryCapabilities, request_: Request
) -> None:
    """What a primary store does not declare is Unsupported before the driver is asked."""
    driver = Scripted(declared)
    guard = primary(driver)
    verb = verb_of(request_)
    asked: Any = getattr(guard, verb, guard.get_volume)
    with pytest.raises(Unsupported) as caught:
        asyncio.run(asked(CTX, request_))

    assert driver.asked == []
    assert caught.value.verb == verb


@pytest.mark.parametrize(("declared", "request_"), UNDECLARED_IMAGE)
def test_an_image_driver_never_sees_the_undeclared(
    declared: ImageCapabilities, request_: Request
) -> None:
    """What an image store does not declare is Unsupported before the driver is asked."""
    driver = Scripted(declared)
    with pytest.raises(Unsupported) as caught:
        call(image(driver), request_)

    assert driver.asked == []
    assert caught.value.verb == verb_of(request_)


def sized(size_bytes: int) -> Request:
    return requests.CreateVolume(key="v", size_bytes=size_bytes)


WRONG: list[tuple[type[DriverError], Request]] = [
    (Invalid, requests.GetVolume(key="")),
    (Invalid, requests.GetVolume(key="x" * 129)),
    (Invalid, requests.GetVolume(key="é" * 65)),
    (Invalid, requests.GetVolume(key="a\0b")),
    (Invalid, requests.GetVolume(key="\ud800")),
    (Invalid, requests.Grant(volume="v", host="")),
    (Invalid, requests.ListVolumes(limit=0)),
    (Invalid, sized(0)),
    (Invalid, sized(-1)),
    (OutOfRange, sized(1)),
    (OutOfRange, sized(4095)),
    (OutOfRange, sized(40961)),
    (OutOfRange, sized(2**63 - 1)),
    (OutOfRange, requests.ResizeVolume(key="v", size_bytes=40961)),
    (Invalid, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=50, iops_max=20))),
    (OutOfRange, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=5, iops_max=20))),
    (OutOfRange, requests.ModifyVolume(key="v", qos=requests.Qos(iops_min=20, iops_max=101))),
]
WRONG_IMAGE: list[tuple[type[DriverError], Request]] = [
    (OutOfRange, requests.UploadPart(upload="u", number=0, data=b"")),
    (OutOfRange, requests.UploadPart(upload="u", number=4, data=b"")),
    (OutOfRange, requests.UploadPart(upload="u", number=1, data=b"x" * 41)),
    (OutOfRange, completing(part(1, 9), part(2, 40))),
    (OutOfRange, completing(part(2, 9), part(3, 1))),
    (OutOfRange, completing(part(1, 40), part(2, 40), part(3, 40))),
    (OutOfRange, completing(*(part(n, 10) for n in range(1, 5)))),
    (OutOfRange, requests.ListObjects(limit=6)),
    (Invalid, requests.ListObjects(limit=0)),
    (Invalid, requests.GetObject(key="o", length_bytes=0)),
    (Invalid, requests.TemporaryUrl(key="o", expires_s=0.0)),
    (OutOfRange, requests.TemporaryUrl(key="o", expires_s=61.0)),
    (
        Invalid,
        requests.StartUpload(upload="u", key="o", kind=ObjectKind.ISO, content_type="a\nb"),
    ),
]


@pytest.mark.parametrize(("error", "request_"), WRONG)
def test_a_primary_driver_never_sees_what_cannot_work(
    error: type[DriverError], request_: Request
) -> None:
    """Keys and numbers that can never work are refused before the driver is asked."""
    driver = Scripted(FULL)
    with pytest.raises(error) as caught:
        call(primary(driver), request_)

    assert driver.asked == []
    assert caught.value.verb == verb_of(request_)


@pytest.mark.parametrize(("error", "request_"), WRONG_IMAGE)
def test_an_image_driver_never_sees_what_cannot_work(
    error: type[DriverError], request_: Request
) -> None:
    """Numbers outside the declared limits are refused before the driver is asked."""
    driver = Scripted(FULL_IMAGE)
    with pytest.raises(error):
        call(image(driver), request_)

    assert driver.asked == []


@pytest.mark.slow
@given(st.text(min_size=1, max_size=128))
def test_every_key_of_the_contract_reaches_the_driver_as_it_is(key: str) -> None:
    """A key of 1 to 128 bytes of UTF-8 without NUL passes, and any other is Invalid."""
    driver = Scripted(FULL, infos.VolumeInfo(key=key, id="id", size_bytes=4096))
    try:
        proper = "\0" not in key and len(key.encode()) <= 128
    except UnicodeEncodeError:
        proper = False
    if proper:
        assert call(primary(driver), requests.GetVolume(key=key)).key == key
    else:
        with pytest.raises(Invalid):
            call(primary(driver), requests.GetVolume(key=key))


@pytest.mark.slow
@given(st.integers())
def test_exactly_the_declared_sizes_reach_the_driver(size_bytes: int) -> None:
    """A size passes when its rounded size is within the limits; else the driver is not asked."""
    driver = Scripted(BARE, infos.VolumeInfo(key="v", id="id", size_bytes=4096))
    if 4096 <= size_bytes <= 40960:
        call(primary(driver), sized(size_bytes))
    else:
        with pytest.raises(Invalid if size_bytes <= 0 else OutOfRange):
            call(primary(driver), sized(size_bytes))

    assert driver.asked == (["create_volume"] if 4096 <= size_bytes <= 40960 else [])


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
    infos.Gone(key="v"),
    infos.VolumeInfo(key="other", id="id", size_bytes=1),
    infos.VolumeInfo(key="v", id=None, size_bytes=1),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    infos.VolumeInfo(key="v", id="id", size_bytes="1"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    infos.VolumeInfo(key="v", id="id", size_bytes=2**70),
    infos.VolumeInfo(key="v", id="\ud800", size_bytes=1),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_an_answer_that_is_none_is_nonsense(answer: object) -> None:
    """An answer of another type, about another object or with wrong fields is Internal."""
    with pytest.raises(Internal, match="nonsense"):
        call(primary(Scripted(FULL, answer)), requests.GetVolume(key="v"))


def test_answers_about_another_object_are_nonsense() -> None:
    """Grants, parts and objects must be those that were asked for."""
    other = infos.GrantInfo(id="g", volume="v", host="other", mode=AccessMode.EXCLUSIVE)
    with pytest.raises(Internal, match=r"'v\|h\|exclusive'"):
        call(primary(Scripted(FULL, other)), requests.Grant(volume="v", host="h"))
    wrong_part = infos.PartInfo(part=part(2, 1))
    with pytest.raises(Internal, match="nonsense"):
        call(
            image(Scripted(FULL_IMAGE, wrong_part)),
            requests.UploadPart(upload="u", number=1, data=b"x"),
        )
    found = infos.ObjectInfo(
        key="p", id="i", kind=ObjectKind.ISO, content_type="t", size_bytes=0, sha256=""
    )
    data = infos.ObjectData(object=found, offset_bytes=0, data=b"")
    with pytest.raises(Internal, match="nonsense"):
        call(image(Scripted(FULL_IMAGE, data)), requests.GetObject(key="o"))
    with pytest.raises(Internal, match="no proper handle"):
        call(image(Scripted(FULL_IMAGE, data)), requests.OpenObject(key="p"))
    text: Any = infos.ObjectData(object=found, offset_bytes=0, data="text")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
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

        def get_volume(self, *_: object) -> infos.VolumeInfo:
            return infos.VolumeInfo(key="v", id="id", size_bytes=1)

    guard = primary(Half())
    with pytest.raises(Internal, match="TypeError"):
        call(guard, requests.GetVolume(key="v"))
    with pytest.raises(Internal, match="AttributeError"):
        call(guard, requests.DeleteVolume(key="v"))


def test_errors_inside_a_stream_are_typed() -> None:
    """An exception raised between two items of enumerate is typed like any other."""

    class Streaming(Scripted):
        async def enumerate(self, *_: object) -> AsyncIterator[infos.OwnedThing]:
            yield infos.OwnedThing(kind=infos.OwnedKind.VOLUME, id="1", key="v")
            raise OSError("the disk is gone")

    found: list[infos.OwnedThing] = []

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


def test_probes_are_checked_like_calls() -> None:
    """Only verbs that change something can be probed, and Done must hold that verb's answer."""

    async def probe(answer: Any, verb: str, request: Request) -> infos.ProbeResult:
        return await primary(Scripted(FULL, answer)).probe(CTX, verb, request)

    delete = requests.DeleteVolume(key="v")
    gone = infos.Done(answer=infos.Gone(key="v"))
    assert asyncio.run(probe(gone, "delete_volume", delete)) == gone
    wrong: list[tuple[type[DriverError], Any, str, Request]] = [
        (Invalid, gone, "get_volume", requests.GetVolume(key="v")),
        (Invalid, gone, "create_volume", delete),
        (Unsupported, gone, "revert_volume", requests.RevertVolume(key="v", snapshot="s")),
        (Internal, infos.Done(answer=infos.Gone(key="w")), "delete_volume", delete),
        (Internal, None, "delete_volume", delete),
        (
            Internal,
            infos.Done(answer=infos.VolumeInfo(key="v", id="i", size_bytes=1)),
            "delete_volume",
            delete,
        ),
    ]
    for error, answer, verb, request in wrong:
        with pytest.raises(error):
            asyncio.run(probe(answer, verb, request))


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
    store = infos.StoreInfo(id="1", name="s", state=infos.StoreState.UP)

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
