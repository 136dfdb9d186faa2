"""The model of an image store: which answers are allowed to each step, and what is then true."""

from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.capabilities import ImageCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import (
    AbortUpload,
    CheckHealth,
    CopyObject,
    DeleteObject,
    EnumerateOwned,
    GetObject,
    GetStats,
    HeadObject,
    ListObjects,
    OpenObject,
    Role,
    StartUpload,
)
from holdfast_conformance.address_steps import FetchAddress, FetchExpired, MakeAddress
from holdfast_conformance.list_steps import NextPage, TakePage
from holdfast_conformance.model import image_probe, image_reply
from holdfast_conformance.model.at_once import likely_together
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.model.enumerated import enumeration_differences
from holdfast_conformance.model.expected_store import (
    expect_another,
    expect_switch,
    health_of_another,
    is_another,
    through_expecting,
)
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.image_address import expect_fetch, expect_make
from holdfast_conformance.model.image_copy import expect_copy, seen_of_copies
from holdfast_conformance.model.image_lists import (
    listing_of,
    next_page_differences,
    walk_situations,
)
from holdfast_conformance.model.image_state import ImageSituation, ImageState, ObjectModel
from holdfast_conformance.model.image_upload import (
    Expecting,
    expect_abort,
    expect_complete,
    expect_part,
    expect_put,
    expect_start,
    expecting,
    too_large,
)
from holdfast_conformance.model.late_calls import expect_late, fences_of, fencing, given_up
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    LifeCycleStep,
    Surroundings,
    expect_life_cycle,
    store_things,
)
from holdfast_conformance.model.look_alikes import has_look_alike
from holdfast_conformance.model.page_tokens import expect_next, expect_taken
from holdfast_conformance.model.primary_state import good_key, plain_key
from holdfast_conformance.model.probed_calls import (
    Fate,
    expect_probe,
    following,
    probe_differences,
)
from holdfast_conformance.model.role_model import Branch, Expectation, Model, down_branches, only
from holdfast_conformance.plan import (
    FinishUpload,
    GiveUp,
    HealFault,
    InjectFault,
    LateCall,
    Plan,
    ProbeCall,
    PutObject,
    Reopen,
    SendPart,
    Step,
    Together,
    UseDriver,
    UseStore,
    Wait,
    WalkObjects,
    subject_of,
)
from holdfast_conformance.trace import Enumerated, Observed, Reply

_S = ImageSituation
_LONG = 64
"""From here on a name is cut where somebody cuts names."""
NEVER_ISSUED = "never-issued"
"""The page token of plans that ask for a page which cannot exist."""


class ImageModel(Model[ImageState]):
    """The model of one image store."""

    role = Role.IMAGE

    def __init__(self, capabilities: ImageCapabilities) -> None:
        self._capabilities = capabilities
        self._declared = declared_features(capabilities)

    def initial(self, plan: Plan) -> ImageState:
        """The state of a fresh namespace."""
        return ImageState(fenced=fences_of(plan))

    def expect(self, state: ImageState, step: Step) -> Expecting:
        """Which outcomes are allowed for ``step`` in ``state``."""
        state = msgspec.structs.replace(state, clock=state.clock + 1)
        if state.fenced is None:
            return self._expect(state, step)
        if isinstance(step, GiveUp):
            state = given_up(state, step.name)
        if isinstance(step, LateCall):
            expectation = expect_late(state, step, self._expect(state, step.call))
        else:
            expectation = self._expect(state, step)
        return fencing(state, step, expectation)

    def _expect(self, state: ImageState, step: Step) -> Expecting:
        match step:
            case Reopen() | UseDriver():
                return expect_switch(state, step, _S.HARNESS)
            case UseStore() | Wait() | GiveUp():
                return expecting(state, {_S.HARNESS}, None)
            case Together():
                return likely_together(self, state, step)
            case InjectFault() | HealFault():
                down = isinstance(step, InjectFault)
                then = msgspec.structs.replace(state, down=down, shaken=down or state.shaken)
                return expecting(state, {_S.HARNESS}, None, then=then)
            case CheckHealth():
                return health_of_another(state, expecting(state, {_health(state)}, None))
            case FetchAddress() | FetchExpired():
                return expect_fetch(state, step)
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                return self._life_cycle(state, step)
            case TakePage(of=of):
                inner = self._verb(state, of)
                return expect_taken(state, step, inner, partial(listing_of, state))
            case NextPage(of=of):
                inner = self._verb(state, of)
                return expect_next(state, step, inner, partial(listing_of, state))
            case _:
                return following(state, step, self._verb(state, step))

    def things(
        self,
        state: ImageState,
        run: str,  # noqa: ARG002 - object content does not depend on the run
    ) -> Iterable[Expected]:
        """The store, its objects and its open uploads."""
        yield from store_things(state.store)
        for key, model in state.objects.items():
            yield Expected(
                kind=OwnedKind.OBJECT,
                key=key,
                born=model.born,
                size_bytes=model.size_bytes,
                digest=model.sha256,
            )
        for name, upload in state.uploads.items():
            yield Expected(kind=OwnedKind.UPLOAD, key=name, born=upload.born, unfinished=True)

    def reply_differences(
        self,
        before: ImageState,  # noqa: ARG002 - replies are about the state after the step
        after: ImageState,
        step: Step,
        reply: Reply,
    ) -> Iterator[Difference]:
        """What is wrong with the reply of a successful ``step``; ids are compared elsewhere."""
        match step, reply:
            case _, Enumerated(things=things):
                return enumeration_differences(self.things(after, ""), things)
            case ProbeCall(call=call), _:
                fate = image_probe.fate_of(after, call)
                told = partial(image_reply.differences, after, call)
                return probe_differences(after, fate, reply, told)
            case LateCall(call=call), _:
                return image_reply.differences(after, call, reply)
            case TakePage(of=of), _:
                return image_reply.differences(after, of, reply)
            case NextPage(), _:
                return next_page_differences(after, step, reply)
            case _:
                return image_reply.differences(after, step, reply)

    def shows_what_lives(self, after: ImageState, step: Step) -> bool:
        """Not so where an upload is completed again whose object was replaced or deleted."""
        call = subject_of(step)
        return not isinstance(call, FinishUpload) or after.is_settled(call.upload)

    def handle_differences(
        self,
        state: ImageState,  # noqa: ARG002 - see the docstring
        observed: Observed,  # noqa: ARG002 - see the docstring
    ) -> Iterator[Difference]:
        """Nothing: hosts have no handles of an image store."""
        return iter(())

    def _verb(self, state: ImageState, step: Step) -> Expecting:
        return self._while_down(state, step) if state.down else self._while_up(state, step)

    def _while_down(self, state: ImageState, step: Step) -> Expecting:
        up = self._while_up(state, step)
        if isinstance(step, ProbeCall):
            return Expectation(up.situations | {_S.DOWN}, up.branches)
        ends = [branch.state for branch in up.branches if branch.kind is None]
        branches = down_branches(state, ends[0] if ends else state)
        # What can be refused without asking the backend may still be refused.
        refused = tuple(branch for branch in up.branches if branch.kind is not None)
        if isinstance(step, PutObject) and ends:
            opened = self._while_up(state, _started(step)).likely
            branches = (*branches, Branch(ErrorKind.UNKNOWN, opened))
        return Expectation(frozenset({_S.DOWN}), (*branches, *refused))

    def _while_up(self, state: ImageState, step: Step) -> Expecting:
        names = tuple(_names(step))
        malformed = () if all(map(good_key, names)) else (ErrorKind.INVALID,)
        if isinstance(step, PutObject) and too_large(self._capabilities.upload, step.size_bytes):
            # The helper tells it before anything is sent.
            return Expectation(frozenset(), only(state, ErrorKind.OUT_OF_RANGE, *malformed))
        if any(feature not in self._declared for feature in features_of(step)):
            refusal = only(state, ErrorKind.UNSUPPORTED, *malformed)
            return Expectation(frozenset({_S.UNDECLARED}), refusal)
        if is_another(state):
            return expect_another(state, *malformed)
        if not state.store.exists:
            kinds = (ErrorKind.NOT_FOUND, ErrorKind.PRECONDITION, ErrorKind.UNAVAILABLE)
            told = (Branch(None, state),) if isinstance(step, ProbeCall) else ()
            return Expectation(frozenset({_S.NO_STORE}), (*told, *only(state, *kinds)))
        if malformed:
            return Expectation(frozenset({_S.BAD_KEY}), only(state, *malformed))
        expectation = seen_of_copies(state, step, self._declared_verb(state, step))
        situations = expectation.situations
        if not all(plain_path(name) and len(name) < _LONG for name in names):
            situations |= {_S.HOSTILE}
        if _look_alike(state, step):
            situations |= {_S.LOOK_ALIKE}
        return Expectation(situations, expectation.branches)

    def _declared_verb(self, state: ImageState, step: Step) -> Expecting:
        match step:
            case StartUpload():
                return expect_start(state, step)
            case SendPart():
                return expect_part(state, self._capabilities, step)
            case FinishUpload():
                return expect_complete(state, self._capabilities, step)
            case AbortUpload():
                return expect_abort(state, step)
            case PutObject():
                return expect_put(state, self._capabilities, step)
            case CopyObject():
                return expect_copy(state, step)
            case ProbeCall():
                return self._probe(state, step)
            case MakeAddress():
                return expect_make(state, self._capabilities.url, step)
            case _:
                return self._read_or_delete(state, step)

    def _probe(self, state: ImageState, step: ProbeCall) -> Expecting:
        fate, kinds = image_probe.fate_of(state, step.call), self._while_up(state, step.call).kinds
        if isinstance(step.call, FinishUpload) and fate.absent:
            # Parts that no upload can be made of are refused, whatever became of the upload.
            kinds |= {ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE}
        return expect_probe(state, fate, _of_fate, kinds)

    def _read_or_delete(self, state: ImageState, step: Step) -> Expecting:
        match step:
            case GetStats():
                return expecting(state, {_S.STATS}, None)
            case EnumerateOwned():
                return expecting(state, {_S.ENUMERATE}, None)
            case ListObjects():
                return _list(state, step, self._capabilities.list.page_max)
            case WalkObjects():
                return expecting(state, walk_situations(state, step), None)
            case GetObject() | HeadObject() | OpenObject() | DeleteObject():
                return _one_object(state, step)
            case _:
                raise ValueError(f"{type(step).__name__} is no step of an image store's plan")

    def _life_cycle(self, state: ImageState, step: LifeCycleStep) -> Expecting:
        around = Surroundings(
            clock=state.clock,
            hosts_max=None,
            granted_hosts=frozenset(),
            empty=not state.objects and not state.uploads,
        )
        return through_expecting(state, step, expect_life_cycle(state, step, around))


def _health(state: ImageState) -> ImageSituation:
    return _S.HEALTH_DOWN if state.down or is_another(state) else _S.HEALTH


def plain_path(name: str) -> bool:
    """Whether a name is one that no backend has trouble with, folders included."""
    return all(map(plain_key, name.split("/")))


def _of_fate(fate: Fate) -> ImageSituation:
    if not fate.certain:
        return _S.PROBE_EITHER
    return _S.PROBE_DONE if fate.done else _S.PROBE_ABSENT


def _names(step: Step) -> Iterator[str]:
    subject = subject_of(step)
    for field in ("key", "upload", "target"):
        name = getattr(subject, field, None)
        if isinstance(name, str):
            yield name


def _look_alike(state: ImageState, step: Step) -> bool:
    """Whether another upload or object lives whose key looks like one in the step."""
    upload, *keys = (getattr(step, field, "") for field in ("upload", "key", "target"))
    if isinstance(upload, str) and upload and has_look_alike(upload, state.uploads):
        return True
    return any(isinstance(key, str) and key and has_look_alike(key, state.objects) for key in keys)


def _started(step: PutObject) -> StartUpload:
    return StartUpload(
        upload=step.upload, key=step.key, kind=step.kind, content_type=step.content_type
    )


def _one_object(
    state: ImageState, step: GetObject | HeadObject | OpenObject | DeleteObject
) -> Expecting:
    model = state.objects.get(step.key)
    match step:
        case DeleteObject() if model is None:
            return expecting(state, {_S.DELETE_ABSENT}, None)
        case DeleteObject():
            joined = {_S.DELETE_JOINED} if model and model.parts > 1 else set[_S]()
            gone = state.without_object(step.key)
            return expecting(state, {_S.DELETE, *joined}, None, then=gone)
        case GetObject(length_bytes=length) if length is not None and length < 1:
            absent = () if model else (ErrorKind.NOT_FOUND,)
            return expecting(state, {_S.GET_NOTHING}, ErrorKind.INVALID, *absent)
        case GetObject() if model:
            return _get(state, model, step)
        case GetObject():
            return expecting(state, {_S.GET_ABSENT}, ErrorKind.NOT_FOUND)
        case HeadObject():
            if model is None:
                return expecting(state, {_S.HEAD_ABSENT}, ErrorKind.NOT_FOUND)
            return expecting(state, {_S.HEAD}, None)
        case OpenObject():
            if model is None:
                return expecting(state, {_S.OPEN_ABSENT}, ErrorKind.NOT_FOUND)
            return expecting(state, {_S.OPEN}, None)


def _get(state: ImageState, model: ObjectModel, step: GetObject) -> Expecting:
    size = model.size_bytes
    if step.offset_bytes == 0 and step.length_bytes is None:
        situations = {_S.GET_WHOLE} if size else {_S.GET_WHOLE, _S.GET_EMPTY}
        if model.parts > 1:
            situations.add(_S.GET_JOINED)
        return expecting(state, situations, None)
    if step.offset_bytes > size:
        return expecting(state, {_S.GET_PAST}, ErrorKind.OUT_OF_RANGE)
    if step.offset_bytes == size or -step.offset_bytes > size:
        # Backends differ on a range that starts right at the end, and on a suffix that is longer
        # than the object; both readings of the contract are right.
        return expecting(state, {_S.GET_EDGE}, None, ErrorKind.OUT_OF_RANGE)
    _, length = image_reply.range_of(step, size)
    situations = {_S.GET_SUFFIX} if step.offset_bytes < 0 else {_S.GET_RANGE}
    if step.length_bytes is not None and length < step.length_bytes:
        situations.add(_S.GET_CUT)
    if model.parts > 1:
        situations.add(_S.GET_JOINED)
    return expecting(state, situations, None)


def _list(state: ImageState, step: ListObjects, page_max: int) -> Expecting:
    too_many = (ErrorKind.OUT_OF_RANGE,) if step.limit > page_max else ()
    if step.token == NEVER_ISSUED:
        return expecting(state, {_S.LIST_TOKEN}, ErrorKind.INVALID, *too_many)
    return expecting(state, {_S.LIST}, None, *too_many)
