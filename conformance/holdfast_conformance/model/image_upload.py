"""The upload verbs of an image store: allowed outcomes of start, part, complete, abort and put."""

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, ObjectKind, UploadCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import AbortUpload, StartUpload
from holdfast_conformance.model.image_state import (
    ImageSituation,
    ImageState,
    ObjectModel,
    Piece,
    SettledUpload,
    UploadModel,
)
from holdfast_conformance.model.role_model import Branch, Expectation, only
from holdfast_conformance.payload import same_bytes
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
        if arguments_of(known) != arguments_of(step):
            conflict = Branch(ErrorKind.CONFLICT, state)
            return Expectation(situations | {_S.START_OTHER}, (conflict, *refused))
        # Whether maintenance concerns an upload that is open already is left to the driver.
        again = Branch[ImageState](None, state)
        return Expectation(situations or frozenset({_S.START_AGAIN}), (again, *refused))
    unopened = (Branch(None, state), Branch(ErrorKind.CONFLICT, state))
    if refusal is not None:
        told = unopened if step.upload in state.settled else ()
        return Expectation(refusal.situations, (*refusal.branches, *told))
    opened = state.with_upload(
        step.upload,
        UploadModel(
            step.key,
            step.kind,
            step.content_type,
            state.clock,
            used=step.upload in state.settled or step.upload in state.aborted,
        ),
    )
    if step.upload in state.settled:
        return Expectation(frozenset({_S.START_SETTLED}), (Branch(None, opened), *unopened))
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
    if not step.size_bytes:
        situations.add(_S.PART_EMPTY)
    sent = UploadModel(
        upload.key,
        upload.kind,
        upload.content_type,
        upload.born,
        {**upload.parts, step.number: (step.content, step.size_bytes)},
        upload.resent | {step.number} if again else upload.resent,
        upload.used,
    )
    return expecting(state, situations, None, then=state.with_upload(step.upload, sent))


def expect_complete(
    state: ImageState, capabilities: ImageCapabilities, step: FinishUpload
) -> Expecting:
    """``complete_upload``."""
    upload = state.uploads.get(step.upload)
    if upload is None:
        return _complete_settled(state, capabilities.upload, step)
    kinds, situations = _complete_problems(capabilities.upload, upload, step)
    if upload.used:
        situations.add(_S.COMPLETE_USED)
    damaged = {_S.COMPLETE_WRONG_SIZE, _S.COMPLETE_WRONG_DIGEST} & situations
    if kinds or damaged:
        # After Corrupt the upload may be open or gone; the next observation tells.
        gone = (Branch(ErrorKind.CORRUPT, state.dropped(step.upload)),) if damaged else ()
        corrupt = only(state, ErrorKind.CORRUPT) if damaged else ()
        return Expectation(frozenset(situations), only(state, *kinds) + corrupt + gone)
    pieces = tuple(upload.parts[number] for number in sorted(step.numbers))
    model = ObjectModel(upload.kind, upload.content_type, pieces, len(pieces), state.clock)
    situations |= _complete_situations(capabilities.upload, upload, step)
    if upload.key in state.objects:
        situations.add(_S.OVERWRITE)
    alone = step.upload not in state.settled
    after = state.with_settled(step.upload, SettledUpload(upload.key, step, model, alone))
    return expecting(state, situations, None, then=after)


def expect_abort(state: ImageState, step: AbortUpload) -> Expecting:
    """``abort_upload``: an upload that became an object is absent, and its object stays."""
    if step.upload not in state.uploads:
        return expecting(state, {_S.ABORT_ABSENT}, None)
    gone = msgspec.structs.replace(
        state.dropped(step.upload), aborted=state.aborted | {step.upload}
    )
    return expecting(state, {_S.ABORT}, None, then=gone)


def expect_put(state: ImageState, capabilities: ImageCapabilities, step: PutObject) -> Expecting:
    """The framework's put helper: start, parts and complete in one."""
    refusal = start_problem(state)
    if refusal is not None:
        return refusal
    if step.upload in state.uploads or step.upload in state.settled:
        raise ValueError(f"a plan uses upload {step.upload!r} twice")
    limits = capabilities.upload
    pieces: tuple[Piece, ...] = ((step.content, step.size_bytes),) if step.size_bytes else ()
    parts = -(-step.size_bytes // limits.part_max_bytes)
    model = ObjectModel(step.kind, step.content_type, pieces, parts, state.clock)
    situations = {_S.PUT, _S.KIND}
    if not step.size_bytes:
        situations.add(_S.PUT_EMPTY)
    if parts > 1:
        situations.add(_S.PUT_LARGE)
    largest = min(limits.object_max_bytes, limits.part_max_bytes * limits.parts_max)
    if step.size_bytes == largest:
        situations.add(_S.PUT_LARGEST)
    if step.key in state.objects:
        situations.add(_S.OVERWRITE)
    after = state.with_settled(step.upload, SettledUpload(step.key, None, model))
    return expecting(state, situations, None, then=after)


def too_large(limits: UploadCapabilities, size_bytes: int) -> bool:
    """Whether no object of this size can be stored."""
    return size_bytes > min(limits.object_max_bytes, limits.part_max_bytes * limits.parts_max)


def arguments_of(upload: UploadModel | StartUpload) -> tuple[str, ObjectKind, str]:
    """What must be equal where an upload is started again."""
    return upload.key, upload.kind, upload.content_type


def _complete_settled(
    state: ImageState, limits: UploadCapabilities, step: FinishUpload
) -> Expecting:
    """Completing what is no open upload: the same object again, or ``NotFound``."""
    settled = state.settled.get(step.upload)
    # The request itself may be out of range, and that may be told first: parts that were never
    # sent are named with a size of 0 bytes, those that were may be too much for one object.
    largest_bytes = len(step.numbers) * limits.part_max_bytes + step.size_error_bytes
    out_of_range = (
        (limits.part_min_bytes > 0 and len(set(step.numbers)) > 1)
        or len(step.numbers) > limits.parts_max
        or largest_bytes > limits.object_max_bytes
    )
    told_first = (ErrorKind.OUT_OF_RANGE,) if out_of_range else ()
    if settled is None:
        return expecting(state, {_S.COMPLETE_LOST}, ErrorKind.NOT_FOUND, *told_first)
    if settled.step == step and settled.alone and state.is_settled(step.upload):
        return expecting(state, {_S.COMPLETE_AGAIN}, None)
    # The object was replaced or deleted since, another upload had the key, or other parts are
    # named: the contract is silent about the answer, and nothing that is there changes.
    kinds = (
        None,
        ErrorKind.NOT_FOUND,
        ErrorKind.INVALID,
        ErrorKind.OUT_OF_RANGE,
        ErrorKind.CORRUPT,
        ErrorKind.CONFLICT,
    )
    asked = msgspec.structs.replace(settled, asked_again=not settled.alone)
    after = msgspec.structs.replace(state, settled={**state.settled, step.upload: asked})
    late = set[_S]() if after.is_settled(step.upload) else {_S.COMPLETE_LATE}
    return expecting(state, late, *kinds, *told_first, then=after)


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
    if _names_older(upload, step):
        kinds.append(ErrorKind.INVALID)
        situations.add(_S.COMPLETE_OLDER)
    # A part that was never sent is named with a size of 0 bytes.
    sizes = {number: upload.parts.get(number, (0, 0))[1] for number in step.numbers}
    last = max(sizes, default=0)
    if any(size < limits.part_min_bytes for number, size in sizes.items() if number != last):
        kinds += [ErrorKind.INVALID, ErrorKind.OUT_OF_RANGE]
        situations.add(_S.COMPLETE_SMALL)
    named_bytes = sum(sizes[number] for number in step.numbers)
    if named_bytes + step.size_error_bytes > limits.object_max_bytes:
        kinds.append(ErrorKind.OUT_OF_RANGE)
    if step.size_error_bytes:
        situations.add(_S.COMPLETE_WRONG_SIZE)
    if step.wrong_digest:
        situations.add(_S.COMPLETE_WRONG_DIGEST)
    return tuple(dict.fromkeys(kinds)), situations


def _names_older(upload: UploadModel, step: FinishUpload) -> bool:
    """Whether a part is named that held other bytes than it does now."""
    return any(
        part.number in step.numbers
        and not same_bytes((part.content, part.size_bytes), upload.parts.get(part.number, (0, 0)))
        for part in step.older
    )


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
