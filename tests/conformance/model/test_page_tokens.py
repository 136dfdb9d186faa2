"""What may come of a page token: nothing twice, nothing left out, nothing of another list."""

from holdfast.contract.answers import VolumeInfo, VolumePage
from holdfast.contract.capabilities import (
    AccessCapabilities,
    PrimaryCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    CreateVolume,
    DeleteVolume,
    InitializeStore,
    ListSnapshots,
    ListVolumes,
    Role,
)
from holdfast_conformance.list_steps import NextPage, TakePage
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.primary_state import PrimaryState, Situation
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.plan import (
    Plan,
    Step,
)
from holdfast_conformance.trace import Continued, Ok, Reply

DECLARED = PrimaryCapabilities(
    volume=VolumeCapabilities(size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=1),
    access=AccessCapabilities(),
    snapshot=SnapshotCapabilities(),
)
MODEL = PrimaryModel(DECLARED)
PAGE = ListVolumes(limit=2)
TAKE, NEXT = TakePage(page="p", of=PAGE), NextPage(page="p", of=PAGE)


def create(key: str) -> CreateVolume:
    return CreateVolume(key=key, size_bytes=1)


FIVE = tuple(map(create, ("a", "a-1", "a/0", "a0", "b")))


def after(*steps: Step) -> PrimaryState:
    plan = Plan(
        id="p", role=Role.PRIMARY, origin="test", store="s", hosts=(), ready=False, steps=()
    )
    state = MODEL.initial(plan)
    for step in (InitializeStore(name="s"), *steps):
        state = MODEL.expect(state, step).likely
    return state


def shown(*keys: str, more: bool = False) -> Reply:
    items = tuple(VolumeInfo(key=key, id=f"id-{key}", size_bytes=1) for key in keys)
    return Continued(("a", "a-1"), VolumePage(items=items, token="more" if more else ""))


def wrong(reply: Reply, *between: Step, step: NextPage = NEXT) -> set[Aspect]:
    state = after(*FIVE, TAKE, *between)
    then = MODEL.expect(state, step).likely
    return {found.aspect for found in MODEL.reply_differences(state, then, step, reply)}


def test_the_next_page_begins_where_the_last_one_ended() -> None:
    """In order, each once, as many as asked for, and to the end where there is no token."""
    all_of_them = NextPage(page="p", of=ListVolumes(limit=9))

    assert wrong(shown("a/0", "a0", more=True)) == set()
    assert wrong(shown("a/0", more=True)) == set()
    assert wrong(shown("a/0", "a0", "b"), step=all_of_them) == set()
    assert wrong(shown("a0", "b")) == {Aspect.MISSING}
    assert wrong(shown("a/0", "a0")) == {Aspect.MISSING}
    assert wrong(shown("a-1", "a/0", more=True)) == {Aspect.DUPLICATE}
    assert wrong(shown("a0", "a/0", more=True)) == {Aspect.ORDER}
    assert wrong(shown("a/0", "a0", "b")) == {Aspect.SIZE}


def test_what_came_since_may_be_shown_and_what_went_may_not() -> None:
    """Of a list that changed, what was there all the time is shown."""
    for key in ("a-1", "a/0"):
        gone = DeleteVolume(key=key)
        rest = [name for name in ("a/0", "a0", "b") if name != key]
        assert wrong(shown(*rest[:2], more=len(rest) > 2), gone) == set()

    assert wrong(shown("a/0", more=True), DeleteVolume(key="a/0")) == {Aspect.EXTRA}
    assert wrong(shown("a/0", "a0", more=True), create("a.")) == set()
    assert wrong(shown("a.", "a/0", more=True), create("a.")) == set()


def test_the_token_of_another_list_or_size_may_be_refused() -> None:
    """Where it is taken, only what belongs to the list that was asked for is shown."""
    resized = NextPage(page="p", of=ListVolumes(limit=1))
    foreign = NextPage(page="p", of=ListSnapshots())
    state = after(*FIVE, TAKE)

    assert MODEL.expect(state, NEXT).kinds == {None}
    assert MODEL.expect(state, resized).kinds == {None, ErrorKind.INVALID}
    assert MODEL.expect(state, foreign).kinds == {None, ErrorKind.INVALID}
    assert Situation.PAGE_FOREIGN in MODEL.expect(state, foreign).situations
    assert Aspect.EXTRA in wrong(shown("a/0"), step=foreign)


def test_a_page_that_was_never_taken_is_not_gone_on_from() -> None:
    """A reduced plan may have lost the step that took it."""
    state = after(*FIVE)

    assert MODEL.expect(state, NEXT).kinds == {None}
    assert list(MODEL.reply_differences(state, state, NEXT, Ok())) == []
