"""The model of an image store: which answers are allowed to each step, and what is then true."""

from collections.abc import Iterable, Iterator

import msgspec

from holdfast.capabilities import ImageCapabilities
from holdfast.errors import ErrorKind
from holdfast.infos import OwnedKind
from holdfast.requests import (
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
from holdfast_conformance.model import image_reply
from holdfast_conformance.model.difference import Difference, Expected
from holdfast_conformance.model.expectation import Branch, Expectation, Model, down_branches, only
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.image_address import expect_fetch, expect_make
from holdfast_conformance.model.image_copy import expect_copy, seen_of_copies
from holdfast_conformance.model.image_state import ImageSituation, ImageState, ObjectModel
from holdfast_conformance.model.image_upload import (
    Expecting,
    expect_abort,
    expect_complete,
    expect_part,
    expect_put,
    expect_start,
    expecting,
)
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    LifeCycleStep,
    Surroundings,
    expect_life_cycle,
    store_things,
)
from holdfast_conformance.model.primary_state import good_key, plain_key
from holdfast_conformance.plan import (
    FetchAddress,
    FetchExpired,
    FinishUpload,
    HealFault,
    InjectFault,
    MakeAddress,
    Plan,
    PutObject,
    Reopen,
    SendPart,
    Step,
    WalkObjects,
)
from holdfast_conformance.trace import Observed, Reply

_S = ImageSituation
NEVER_ISSUED = "never-issued"
"""The page token of plans that ask for a page which cannot exist."""


class ImageModel(Model[ImageState]):
    """The model of one image store."""

    role = Role.IMAGE

    def __init__(self, capabilities: ImageCapabilities) -> None:
        self._capabilities = capabilities
        self._declared = declared_features(capabilities)

    def initial(self, plan: Plan) -> ImageState:  # noqa: ARG002 - no plan starts with a store
        """The state of a fresh namespace."""
        return ImageState()

    def expect(self, state: ImageState, step: Step) -> Expecting:
        """Which outcomes are allowed for ``step`` in ``state``."""
        state = msgspec.structs.replace(state, clock=state.clock + 1)
        match step:
            case Reopen():
                return expecting(state, {_S.HARNESS}, None)
            case InjectFault():
                down = msgspec.structs.replace(state, down=True)
                return expecting(state, {_S.HARNESS}, None, then=down)
            case HealFault():
                up = msgspec.structs.replace(state, down=False)
                return expecting(state, {_S.HARNESS}, None, then=up)
            case CheckHealth():
                return expecting(state, {_S.HEALTH_DOWN if state.down else _S.HEALTH}, None)
            case FetchAddress() | FetchExpired():
                return expect_fetch(state, step)
            case _ if isinstance(step, LIFE_CYCLE_STEPS):
                return self._life_cycle(state, step)
            case _:
                return self._while_down(state, step) if state.down else self._while_up(state, step)

    def things(
        self,
        state: ImageState,
        run: str,  # noqa: ARG002 - object content does not depend on the run
    ) -> Iterable[Expected]:
        """The store, its objects and its open uploads."""
        yield from store_things(state.store)
        for key, found in state.objects.items():
            yield Expected(
                kind=OwnedKind.OBJECT,
                key=key,
                born=found.born,
                size_bytes=found.size_bytes,
                digest=found.sha256,
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
        yield from image_reply.differences(after, step, reply)

    def handle_differences(
        self,
        state: ImageState,  # noqa: ARG002 - see the docstring
        observed: Observed,  # noqa: ARG002 - see the docstring
    ) -> Iterator[Difference]:
        """Nothing: hosts have no handles of an image store."""
        return iter(())

    def _while_down(self, state: ImageState, step: Step) -> Expecting:
        up = self._while_up(state, step)
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
        if any(feature not in self._declared for feature in features_of(step)):
            refusal = only(state, ErrorKind.UNSUPPORTED, *malformed)
            return Expectation(frozenset({_S.UNDECLARED}), refusal)
        if not state.store.exists:
            kinds = (ErrorKind.NOT_FOUND, ErrorKind.PRECONDITION, ErrorKind.UNAVAILABLE)
            return Expectation(frozenset({_S.NO_STORE}), only(state, *kinds))
        if malformed:
            return Expectation(frozenset({_S.BAD_KEY}), only(state, *malformed))
        found = seen_of_copies(state, step, self._declared_verb(state, step))
        if all(map(plain_path, names)):
            return found
        return Expectation(found.situations | {_S.HOSTILE}, found.branches)

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
            case MakeAddress():
                return expect_make(state, self._capabilities.url, step)
            case _:
                return self._read_or_delete(state, step)

    def _read_or_delete(self, state: ImageState, step: Step) -> Expecting:
        match step:
            case GetStats():
                return expecting(state, {_S.STATS}, None)
            case EnumerateOwned():
                return expecting(state, {_S.ENUMERATE}, None)
            case ListObjects():
                return _list(state, step, self._capabilities.list.page_max)
            case WalkObjects():
                return _walk(state, step)
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
        found = expect_life_cycle(state.store, step, around)
        branches = tuple(
            Branch(branch.kind, msgspec.structs.replace(state, store=branch.state))
            for branch in found.branches
        )
        if state.down:
            branches = (*branches, *down_branches(state, branches[0].state))
        return Expectation(found.situations, branches)


def plain_path(name: str) -> bool:
    """Whether a name is one that no backend has trouble with, folders included."""
    return all(map(plain_key, name.split("/")))


def _names(step: Step) -> Iterator[str]:
    for field in ("key", "upload", "target"):
        name = getattr(step, field, None)
        if isinstance(name, str):
            yield name


def _started(step: PutObject) -> StartUpload:
    return StartUpload(
        upload=step.upload, key=step.key, kind=step.kind, content_type=step.content_type
    )


def _one_object(
    state: ImageState, step: GetObject | HeadObject | OpenObject | DeleteObject
) -> Expecting:
    found = state.objects.get(step.key)
    match step:
        case DeleteObject() if found is None:
            return expecting(state, {_S.DELETE_ABSENT}, None)
        case DeleteObject():
            joined = {_S.DELETE_JOINED} if found and found.parts > 1 else set[_S]()
            gone = state.without_object(step.key)
            return expecting(state, {_S.DELETE, *joined}, None, then=gone)
        case GetObject() if found:
            return _get(state, found, step)
        case GetObject():
            return expecting(state, {_S.GET_ABSENT}, ErrorKind.NOT_FOUND)
        case HeadObject():
            if found is None:
                return expecting(state, {_S.HEAD_ABSENT}, ErrorKind.NOT_FOUND)
            return expecting(state, {_S.HEAD}, None)
        case OpenObject():
            if found is None:
                return expecting(state, {_S.OPEN_ABSENT}, ErrorKind.NOT_FOUND)
            return expecting(state, {_S.OPEN}, None)


def _get(state: ImageState, found: ObjectModel, step: GetObject) -> Expecting:
    if step.length_bytes is not None and step.length_bytes < 1:
        return expecting(state, set(), ErrorKind.INVALID)
    size = found.size_bytes
    if step.offset_bytes == 0 and step.length_bytes is None:
        situations = {_S.GET_WHOLE} if size else {_S.GET_WHOLE, _S.GET_EMPTY}
        if found.parts > 1:
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
    if found.parts > 1:
        situations.add(_S.GET_JOINED)
    return expecting(state, situations, None)


def _list(state: ImageState, step: ListObjects, page_max: int) -> Expecting:
    too_many = (ErrorKind.OUT_OF_RANGE,) if step.limit > page_max else ()
    if step.token == NEVER_ISSUED:
        return expecting(state, {_S.LIST_TOKEN}, ErrorKind.INVALID, *too_many)
    return expecting(state, {_S.LIST}, None, *too_many)


def _walk(state: ImageState, step: WalkObjects) -> Expecting:
    keys, prefixes = image_reply.listed(state, step.prefix, step.delimiter)
    situations = {_S.WALK}
    if len(keys) + len(prefixes) > step.limit:
        situations.add(_S.WALK_PAGES)
    if prefixes:
        situations.add(_S.WALK_FOLDED)
    if any(not key.isascii() or not key.isalnum() for key in keys):
        situations.add(_S.WALK_ENCODED)
    return expecting(state, situations, None)
