"""What the models allow when calls are made at once."""

from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    PrimaryCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AttachHost,
    CreateSnapshot,
    CreateVolume,
    DeleteVolume,
    Grant,
    InitializeStore,
    Role,
    StartUpload,
)
from holdfast_conformance.model.at_once import CallMade, OrderEnd, ends_together
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.plan import Call, FinishUpload, Plan, SendPart, Step, WriteBlocks

BLOCK = 4096
MODEL = PrimaryModel(
    PrimaryCapabilities(
        volume=VolumeCapabilities(
            size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=BLOCK
        ),
        access=AccessCapabilities(modes=tuple(AccessMode)),
        snapshot=SnapshotCapabilities(),
    )
)
IMAGE = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 30, part_min_bytes=1, part_max_bytes=1 << 20, parts_max=10
    ),
    list=ListCapabilities(page_max=10),
)
READY: tuple[Step, ...] = (
    InitializeStore(name="s"),
    AttachHost(host="a"),
    AttachHost(host="b"),
)
VOLUME = CreateVolume(key="v", size_bytes=4 * BLOCK)
LARGER = CreateVolume(key="v", size_bytes=8 * BLOCK)
DELETE = DeleteVolume(key="v")
EXCLUSIVE = Grant(volume="v", host="a", mode=AccessMode.EXCLUSIVE)
OTHER = Grant(volume="v", host="b", mode=AccessMode.EXCLUSIVE)
SNAPSHOT = CreateSnapshot(key="s", volume="v")


def after(*steps: Step) -> PrimaryState:
    plan = Plan(id="p", role=Role.PRIMARY, origin="", store="s", hosts=(), ready=False, steps=())
    state = MODEL.initial(plan)
    for step in (*READY, *steps):
        state = MODEL.expect(state, step).likely
    return state


def made(step: Call, kind: ErrorKind | None = None, at_s: float = 0.0) -> CallMade:
    return CallMade(step=step, kind=kind, reply=None, invoked_s=at_s, returned_s=at_s)


def ends(state: PrimaryState, *calls: CallMade) -> tuple[OrderEnd, ...]:
    return ends_together(MODEL, state, calls)


def test_of_two_that_exclude_each_other_either_may_come_first() -> None:
    """Of two sizes for one key one is made, and the other is a conflict."""
    conflict = ErrorKind.CONFLICT

    first = ends(after(), made(VOLUME), made(LARGER, conflict))
    second = ends(after(), made(VOLUME, conflict), made(LARGER))

    assert [end.state.volumes["v"].size_bytes for end in first] == [VOLUME.size_bytes]
    assert [end.state.volumes["v"].size_bytes for end in second] == [LARGER.size_bytes]
    assert ends(after(), made(VOLUME), made(LARGER)) == ()
    assert ends(after(), made(VOLUME, conflict), made(LARGER, conflict)) == ()


def test_two_hosts_never_share_an_exclusive_volume() -> None:
    """No order lets both in."""
    assert ends(after(VOLUME), made(EXCLUSIVE), made(OTHER)) == ()
    assert len(ends(after(VOLUME), made(EXCLUSIVE), made(OTHER, ErrorKind.IN_USE))) == 1


def test_a_call_may_find_another_one_at_work() -> None:
    """`Busy` is right for whichever calls, and says that nothing was done."""
    busy = ErrorKind.BUSY
    state = after(VOLUME)

    neither = ends(state, made(DELETE, busy), made(EXCLUSIVE, busy))

    assert [end.state.volumes for end in neither] == [state.volumes]


def test_what_returned_before_another_was_made_comes_first() -> None:
    """Calls that did not overlap have one order only."""
    early, late = made(DELETE, at_s=1.0), made(VOLUME, at_s=2.0)
    late_delete = made(DELETE, at_s=3.0)

    assert ["v" in end.state.volumes for end in ends(after(VOLUME), early, late)] == [True]
    assert ["v" in end.state.volumes for end in ends(after(), late, late_delete)] == [False]


def test_both_orders_stay_possible_until_something_tells_them_apart() -> None:
    """A volume that is created and deleted at once is there or not."""
    found = ends(after(VOLUME), made(DELETE), made(VOLUME))

    assert sorted("v" in end.state.volumes for end in found) == [False, True]


def test_a_snapshot_has_each_block_as_before_or_after() -> None:
    """Of two blocks that are written while it is taken it has any, and the volume has both."""
    write = WriteBlocks(volume="v", host="a", first=0, count=2, generation=7)
    state = after(VOLUME, EXCLUSIVE)

    found = ends(state, made(write), made(SNAPSHOT))

    blocks = [tuple(sorted(end.state.snapshots["s"].content.blocks)) for end in found]
    assert sorted(blocks) == [(), (0,), (0, 1), (1,)]
    assert {tuple(sorted(end.state.volumes["v"].content.blocks)) for end in found} == {(0, 1)}


def test_of_a_write_that_failed_any_block_may_have_arrived() -> None:
    """Nobody promises how far it came; an error that no order gives is none it may have."""
    write = WriteBlocks(volume="v", host="a", first=0, count=1, generation=7)
    delete = made(DeleteVolume(key="w"))
    ungranted, granted = after(VOLUME), after(VOLUME, EXCLUSIVE)

    assert len(ends(ungranted, made(write, ErrorKind.DENIED), delete)) == 1
    assert ends(granted, made(write, ErrorKind.DENIED), delete) == ()


def test_snapshots_of_one_volume_keep_their_order() -> None:
    """Which of two is the newer one decides what may be reverted to."""
    first, second = SNAPSHOT, CreateSnapshot(key="t", volume="v")

    found = ends(after(VOLUME), made(first), made(second))

    newer = {end.state.snapshots["s"].born < end.state.snapshots["t"].born for end in found}
    assert newer == {True, False}


def test_of_two_ends_of_one_upload_one_may_miss_the_other_s_parts() -> None:
    """It is told as a part that is not there, and the object is there once."""
    model = ImageModel(IMAGE)
    plan = Plan(id="p", role=Role.IMAGE, origin="", store="s", hosts=(), ready=False, steps=())
    start = StartUpload(upload="u", key="k", kind=ObjectKind.TEMPLATE, content_type="text/plain")
    finish = FinishUpload(upload="u", numbers=(1,))
    state = model.initial(plan)
    part = SendPart(upload="u", number=1, content=1, size_bytes=9)
    for step in (InitializeStore(name="s"), start, part):
        state = model.expect(state, step).likely

    late = ends_together(model, state, [made(finish), made(finish, ErrorKind.INVALID)])
    neither = [made(finish, ErrorKind.INVALID), made(finish, ErrorKind.INVALID)]

    assert {tuple(end.state.objects) for end in late} == {("k",)}
    assert {tuple(end.state.uploads) for end in ends_together(model, state, neither)} == {("u",)}
