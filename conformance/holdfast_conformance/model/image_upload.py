"""The upload verbs of an image store: allowed outcomes of start, part, complete, abort and put."""

from holdfast.capabilities import ImageCapabilities, ObjectKind, UploadCapabilities
from holdfast.errors import ErrorKind
from holdfast.requests import AbortUpload, StartUpload
from holdfast_conformance.model.expectation import Branch, Expectation, only
from holdfast_conformance.model.image_state import (
    ImageSituation,
    ImageState,
    ObjectModel,
    Piece,
    SettledUpload,
    UploadModel,
)
from holdfast_conformance.plan import FinishUpload, PutObject, SendPart

Expecting = Expectation[ImageState]
_S = ImageSituation


def expecting(
    state: ImageState, situations: set[_S], *kinds: ErrorKind | None, then: ImageState | None = None
) -> Expecting:
    """These outcomes; success leads to ``then``, an error changes nothing."""
    after = then or state
    branches = tuple(Branch(kind, state if kind else after) for kind in kinds)
    return Expectation(frozenset(situations), branches)


def start_problem(state: ImageState) -> Expecting | None:
    """The refusal of new data, whatever becomes of it later, or ``None``."""
    if not state.store.maintenance:
        return None
    return expecting(state, {_S.MAINTENANCE}, ErrorKind.PRECONDITION)


def expect_start(state: ImageState, step: StartUpload) -> Expecting:
    """``start_upload``."""
    refusal = start_problem(state)
    refused = refusal.branches if refusal else ()
    situations = refusal.situations if refusal else frozenset[str]()
    known = state.uploads.get(step.upload)
    if known is not None:
        if _arguments(known) != _arguments(step):
            conflict = Branch(ErrorKind.CONFLICT, state)
            return Expectation(situations | {_S.START_OTHER}, (conflict, *refused))
        # Whether maintenance concerns an upload that is open already is left to the driver.
        again = Branch[ImageState](None, state)
        return Expectation(situations or frozenset({_S.START_AGAIN}), (again, *refused))
    if refusal is not None:
        return refusal
    opened = state.with_upload(
        step.upload, UploadModel(step.key, step.kind, step.content_type, state.clock)
    )
    if step.upload in state.settled:
        choices = (Branch(None, opened), Branch(None, state), Branch(ErrorKind.CONFLICT, state))
        return Expectation(frozenset({_S.START_SETTLED}), choices)
    return expecting(state, {_S.START_NEW, _S.KIND}, None, then=opened)


def expect_part(state: ImageState, capabilities: ImageCapabilities, step: SendPart) -> Expecting:
    """``upload_part``."""
    limits = capabilities.upload
    kinds: list[ErrorKind] = []
    situations: set[_S] = set()
    if not 1 <= step.number <= limits.parts_max:
        kinds.append(ErrorKind.OUT_OF_RANGE)
        situations.add(_S.PART_NUMBER)
    if step.size_bytes > limits.part_max_bytes:
        kinds.append(ErrorKind.OUT_OF_RANGE)
        situations.add(_S.PART_LARGE)
    upload = state.uploads.get(step.upload)
    if upload is None:
        kinds.append(ErrorKind.NOT_FOUND)
        situations.add(_S.PART_LOST)
    if upload is None or kinds:
        return Expectation(frozenset(situations), only(state, *dict.fromkeys(kinds)))
    again = step.number in upload.parts
    situations.add(_S.PART_AGAIN if again else _S.PART_NEW)
    if any(step.number < number for number in upload.parts):
        situations.add(_S.PART_BEFORE)
    sent = UploadModel(
        upload.key,
        upload.kind,
        upload.content_type,
        upload.born,
        {**upload.parts, step.number: (step.content, step.size_bytes)},
        upload.resent | {step.number} if again else upload.resent,
    )
    return expecting(state, situations, None, then=state.with_upload(step.upload, sent))


def expect_complete(
    state: ImageState, capabilities: ImageCapabilities, step: FinishUpload
) -> Expecting:
    """``complete_upload``."""
    upload = state.uploads.get(step.upload)
    if upload is None:
        return _complete_settled(state, step)
    kinds, situations = _complete_problems(capabilities.upload, upload, step)
    damaged = {_S.COMPLETE_WRONG_SIZE, _S.COMPLETE_WRONG_DIGEST} & situations
    if kinds or damaged:
        # After Corrupt the upload may be open or gone; the next observation tells.
        gone = (Branch(ErrorKind.CORRUPT, state.without_upload(step.upload)),) if damaged else ()
        corrupt = only(state, ErrorKind.CORRUPT) if damaged else ()
        return Expectation(frozenset(situations), only(state, *kinds) + corrupt + gone)
    pieces = tuple(upload.parts[number] for number in sorted(step.numbers))
    made = ObjectModel(upload.kind, upload.content_type, pieces, len(pieces), state.clock)
    situations = _complete_situations(capabilities.upload, upload, step)
    if upload.key in state.objects:
        situations.add(_S.OVERWRITE)
    after = state.with_settled(step.upload, SettledUpload(upload.key, step, made))
    return expecting(state, situations, None, then=after)


def expect_abort(state: ImageState, step: AbortUpload) -> Expecting:
    """``abort_upload``: an upload that became an object is absent, and its object stays."""
    situation = _S.ABORT if step.upload in state.uploads else _S.ABORT_ABSENT
    return expecting(state, {situation}, None, then=state.without_upload(step.upload))


def expect_put(state: ImageState, capabilities: ImageCapabilities, step: PutObject) -> Expecting:
    """The framework's put helper: start, parts and complete in one."""
    refusal = start_problem(state)
    if refusal is not None:
        return refusal
    if step.upload in state.uploads or step.upload in state.settled:
        raise ValueError(f"a plan uses upload {step.upload!r} twice")
    limits = capabilities.upload
    if step.size_bytes > min(limits.object_max_bytes, limits.part_max_bytes * limits.parts_max):
        return expecting(state, set(), ErrorKind.OUT_OF_RANGE)
    pieces: tuple[Piece, ...] = ((step.content, step.size_bytes),) if step.size_bytes else ()
    parts = -(-step.size_bytes // limits.part_max_bytes)
    made = ObjectModel(step.kind, step.content_type, pieces, parts, state.clock)
    situations = {_S.PUT, _S.KIND}
    if not step.size_bytes:
        situations.add(_S.PUT_EMPTY)
    if parts > 1:
        situations.add(_S.PUT_LARGE)
    if step.key in state.objects:
        situations.add(_S.OVERWRITE)
    after = state.with_settled(step.upload, SettledUpload(step.key, None, made))
    return expecting(state, situations, None, then=after)


def _arguments(upload: UploadModel | StartUpload) -> tuple[str, ObjectKind, str]:
    return upload.key, upload.kind, upload.content_type


def _complete_settled(state: ImageState, step: FinishUpload) -> Expecting:
    """Completing what is no open upload: the same object again, or ``NotFound``."""
    settled = state.settled.get(step.upload)
    if settled is None:
        # Parts that were never sent are named with a size of 0 bytes, which may be told first.
        told_first = (ErrorKind.OUT_OF_RANGE,) if len(set(step.numbers)) > 1 else ()
        return expecting(state, {_S.COMPLETE_LOST}, ErrorKind.NOT_FOUND, *told_first)
    if settled.step == step and state.objects.get(settled.key) == settled.made:
        return expecting(state, {_S.COMPLETE_AGAIN}, None)
    # The object was replaced or deleted since, or other parts are named: the contract is silent.
    kinds = (None, ErrorKind.NOT_FOUND, ErrorKind.INVALID, ErrorKind.CORRUPT, ErrorKind.CONFLICT)
    return expecting(state, set(), *kinds)


def _complete_problems(
    limits: UploadCapabilities, upload: UploadModel, step: FinishUpload
) -> tuple[tuple[ErrorKind, ...], set[_S]]:
    """Why this completion must fail; a wrong size or digest shows in the situations only."""
    kinds: list[ErrorKind] = []
    situations: set[_S] = set()
    known = {number for number in step.numbers if number in upload.parts}
    if len(known) != len(step.numbers):
        kinds.append(ErrorKind.INVALID)
        situations.add(_S.COMPLETE_BAD_PARTS)
        outside = any(not 1 <= number <= limits.parts_max for number in step.numbers)
        if outside or len(step.numbers) > limits.parts_max:
            kinds.append(ErrorKind.OUT_OF_RANGE)
    # A part that was never sent is named with a size of 0 bytes.
    sizes = {number: upload.parts.get(number, (0, 0))[1] for number in step.numbers}
    last = max(sizes, default=0)
    if any(size < limits.part_min_bytes for number, size in sizes.items() if number != last):
        kinds += [ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE]
        situations.add(_S.COMPLETE_SMALL)
    if sum(sizes.values()) + step.size_error_bytes > limits.object_max_bytes:
        kinds.append(ErrorKind.OUT_OF_RANGE)
    if step.size_error_bytes:
        situations.add(_S.COMPLETE_WRONG_SIZE)
    if step.wrong_digest:
        situations.add(_S.COMPLETE_WRONG_DIGEST)
    return tuple(dict.fromkeys(kinds)), situations


def _complete_situations(
    limits: UploadCapabilities, upload: UploadModel, step: FinishUpload
) -> set[_S]:
    """What is interesting about a completion that must succeed."""
    numbers = sorted(step.numbers)
    sizes = [upload.parts[number][1] for number in numbers]
    minimum = limits.part_min_bytes
    tests = {
        _S.COMPLETE: True,
        _S.COMPLETE_EMPTY: not numbers,
        _S.COMPLETE_ONE: len(numbers) == 1,
        _S.COMPLETE_SEVERAL: len(numbers) > 1,
        _S.COMPLETE_SOME: len(numbers) < len(upload.parts),
        _S.COMPLETE_MIXED: tuple(numbers) != step.numbers,
        _S.COMPLETE_REPLACED: not upload.resent.isdisjoint(numbers),
        _S.COMPLETE_MINIMUM: minimum in sizes[:-1] or (len(sizes) > 1 and sizes[-1] < minimum),
    }
    return {situation for situation, true in tests.items() if true}
