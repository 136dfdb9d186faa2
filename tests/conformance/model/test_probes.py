"""What a probe may say: of what is there now, and under whose operation it came to be."""

from holdfast.contract.answers import (
    Absent,
    Done,
    Gone,
    GrantInfo,
    ObjectInfo,
    Partial,
    Undetermined,
    VolumeInfo,
)
from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    ImageCapabilities,
    ListCapabilities,
    ObjectKind,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    UploadCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AttachHost,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    Grant,
    InitializeStore,
    ResizeVolume,
    RevertVolume,
    Revoke,
    Role,
    StartUpload,
)
from holdfast.contract.testbed import Fault
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.image_probe import fate_of as image_fate
from holdfast_conformance.model.image_state import ImageState
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.model.primary_probe import fate_of
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.model.probed_calls import ABSENT, DONE, EITHER, Fate
from holdfast_conformance.plan import (
    FinishUpload,
    HealFault,
    InjectFault,
    Plan,
    ProbeCall,
    ProbedCall,
    PutObject,
    SendPart,
    Step,
    WriteBlocks,
)
from holdfast_conformance.trace import Reply

BLOCK = 4096
DECLARED = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=BLOCK
    ),
    access=AccessCapabilities(modes=(AccessMode.EXCLUSIVE, AccessMode.SHARED)),
    resize=ResizeCapabilities(shrink=True),
    snapshot=SnapshotCapabilities(revert=True),
)
IMAGES = ImageCapabilities(
    upload=UploadCapabilities(
        object_max_bytes=1 << 20,
        part_min_bytes=1,
        part_max_bytes=1000,
        parts_max=8,
        kinds=(ObjectKind.TEMPLATE,),
    ),
    list=ListCapabilities(page_max=100),
)
MODEL, IMAGE_MODEL = PrimaryModel(DECLARED), ImageModel(IMAGES)
HOST = "host-a"
CREATE = CreateVolume(key="a", size_bytes=2 * BLOCK)
DELETE = DeleteVolume(key="a")
GRANT = Grant(volume="a", host=HOST)
REVOKE = Revoke(volume="a", host=HOST)
SNAPSHOT = CreateSnapshot(key="s", volume="a")
REVERT = RevertVolume(key="a", snapshot="s")
WRITE = WriteBlocks(volume="a", host=HOST, first=0, count=1, generation=1)
START = StartUpload(upload="u", key="k", kind=ObjectKind.TEMPLATE)
PART = SendPart(upload="u", number=1, content=1, size_bytes=100)
FINISH = FinishUpload(upload="u", numbers=(1,))


def plan(role: Role) -> Plan:
    return Plan(id="p", role=role, origin="test", store="s", hosts=(), ready=False, steps=())


def after(*steps: Step) -> PrimaryState:
    state = MODEL.initial(plan(Role.PRIMARY))
    for step in (InitializeStore(name="s"), AttachHost(host=HOST), *steps):
        state = MODEL.expect(state, step).likely
    return state


def image_after(*steps: Step) -> ImageState:
    state = IMAGE_MODEL.initial(plan(Role.IMAGE))
    for step in (InitializeStore(name="s"), *steps):
        state = IMAGE_MODEL.expect(state, step).likely
    return state


def fate(call: ProbedCall, *steps: Step) -> Fate:
    return fate_of(after(*steps), call, DECLARED)


def uploaded(call: ProbedCall, *steps: Step) -> Fate:
    return image_fate(image_after(*steps), call)


def wrong(call: ProbedCall, reply: Reply, *steps: Step) -> set[Aspect]:
    state, step = after(*steps), ProbeCall(call=call)
    then = MODEL.expect(state, step).likely
    return {found.aspect for found in MODEL.reply_differences(state, then, step, reply)}


def test_what_was_made_is_done_and_what_was_not_is_absent() -> None:
    """Never made, made, ended: absent, done, absent; and its end the other way round."""
    assert [fate(CREATE), fate(CREATE, CREATE), fate(CREATE, CREATE, DELETE)] == [
        ABSENT,
        DONE,
        ABSENT,
    ]
    assert [fate(DELETE, CREATE), fate(DELETE, CREATE, DELETE)] == [ABSENT, DONE]
    assert [fate(GRANT, CREATE), fate(GRANT, CREATE, GRANT)] == [ABSENT, DONE]
    assert [fate(REVOKE, CREATE, GRANT), fate(REVOKE, CREATE, GRANT, REVOKE)] == [ABSENT, DONE]


def test_what_was_refused_is_absent() -> None:
    """A call that another one's state refuses had no effect."""
    larger = CreateVolume(key="a", size_bytes=5 * BLOCK)
    shared = Grant(volume="a", host=HOST, mode=AccessMode.SHARED)

    assert fate(larger, CREATE, larger) == ABSENT
    assert fate(shared, CREATE, GRANT, shared) == ABSENT
    assert fate(DELETE, CREATE, GRANT, DELETE) == ABSENT


def test_what_was_changed_since_may_be_told_either_way() -> None:
    """A driver need not remember what a volume was made as, or reverted to."""
    grown = ResizeVolume(key="a", size_bytes=4 * BLOCK)

    assert fate(CREATE, CREATE, grown) == EITHER
    assert fate(REVERT, CREATE, SNAPSHOT, REVERT) == DONE
    assert fate(REVERT, CREATE, SNAPSHOT, REVERT, GRANT, WRITE) == EITHER
    assert fate(REVERT, CREATE, SNAPSHOT, REVERT, DeleteSnapshot(key="s")) == EITHER
    assert fate(REVERT, CREATE, SNAPSHOT, GRANT, WRITE, REVERT) == ABSENT


def test_what_another_call_reached_may_be_told_either_way() -> None:
    """A driver need not know which of two equal calls did it, nor must it be ignorant."""
    assert fate(CREATE, CREATE, CREATE) == EITHER
    assert fate(DELETE) == EITHER
    assert fate(DELETE, DELETE) == DONE
    assert fate(REVERT, CREATE, SNAPSHOT) == EITHER


def test_an_upload_is_told_by_its_parts_and_its_object() -> None:
    """Parts by their bytes, a completion by its object for as long as it is the current one."""
    other = SendPart(upload="u", number=1, content=2, size_bytes=100)
    put = PutObject(
        upload="v", key="k", kind=ObjectKind.TEMPLATE, content_type="x", content=7, size_bytes=9
    )

    assert [uploaded(PART, START), uploaded(PART, START, PART)] == [ABSENT, DONE]
    assert uploaded(other, START, PART) == ABSENT
    assert uploaded(PART, START, PART, other) == EITHER
    assert [uploaded(FINISH, put, START, PART), uploaded(FINISH, put, START, PART, FINISH)] == [
        ABSENT,
        DONE,
    ]
    assert uploaded(FINISH, START, PART, FINISH, put) == ABSENT
    assert uploaded(START, START, PART, FINISH) == EITHER


def test_the_answer_that_was_lost_is_judged_as_the_answer_of_its_verb() -> None:
    """Of the right type, the right thing and the true size."""
    right = VolumeInfo(key="a", id="v", size_bytes=2 * BLOCK)
    grant = GrantInfo(id="g", volume="a", host=HOST, mode=AccessMode.EXCLUSIVE)
    stranger = ObjectInfo(
        key="a", id="o", kind=ObjectKind.ISO, content_type="x", size_bytes=1, sha256=""
    )

    assert wrong(CREATE, Done(answer=right), CREATE) == set()
    assert wrong(CREATE, Done(answer=VolumeInfo(key="a", id="v", size_bytes=1)), CREATE) == {
        Aspect.SIZE
    }
    assert wrong(CREATE, Done(answer=stranger), CREATE) == {Aspect.TYPE}
    assert wrong(GRANT, Done(answer=grant), CREATE, GRANT) == set()
    assert wrong(DELETE, Done(answer=Gone(key="a")), CREATE) == {Aspect.STATE}
    assert wrong(CREATE, Absent(), CREATE) == {Aspect.STATE}


def test_nobody_needs_to_know_while_the_backend_is_down() -> None:
    """Undetermined is an answer then, unfinished things are one ever after; a lie is none."""
    down = (CREATE, InjectFault(fault=Fault.DOWN))
    up = (*down, HealFault())
    unsure, left = Undetermined(reason="nobody answers"), Partial(names=("half",))

    assert wrong(CREATE, unsure, *down) == set()
    assert wrong(CREATE, unsure, *up) == wrong(CREATE, left, CREATE) == {Aspect.STATE}
    assert wrong(CREATE, left, *up) == set()
    assert wrong(CREATE, Absent(), *down) == {Aspect.STATE}
    assert MODEL.expect(after(*down), ProbeCall(call=CREATE)).kinds == {
        None,
        ErrorKind.UNAVAILABLE,
        ErrorKind.UNKNOWN,
    }


def test_a_call_that_can_never_work_may_be_refused_when_it_is_probed() -> None:
    """As the guard does, before the driver is asked."""
    nothing = CreateVolume(key="a", size_bytes=0)

    assert MODEL.expect(after(), ProbeCall(call=nothing)).kinds == {
        None,
        ErrorKind.INVALID,
        ErrorKind.OUT_OF_RANGE,
    }
    assert fate(nothing) == ABSENT


def test_a_completion_of_parts_that_no_upload_has_may_be_refused_when_it_is_probed() -> None:
    """Also where its upload became an object from other parts."""
    never = FinishUpload(upload="u", numbers=(1, 5))
    state = image_after(START, PART, FINISH)

    assert IMAGE_MODEL.expect(state, ProbeCall(call=never)).kinds == {
        None,
        ErrorKind.INVALID,
        ErrorKind.OUT_OF_RANGE,
    }
    assert IMAGE_MODEL.expect(state, ProbeCall(call=FINISH)).kinds == {None}
