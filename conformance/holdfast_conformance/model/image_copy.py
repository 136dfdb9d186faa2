"""Copies of objects: the allowed outcomes of ``copy``, and what makes later steps interesting."""

from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import CopyObject, DeleteObject, GetObject
from holdfast_conformance.model.image_state import ImageSituation, ImageState, ObjectModel
from holdfast_conformance.model.image_upload import Expecting, expecting, start_problem
from holdfast_conformance.model.role_model import Expectation
from holdfast_conformance.plan import FinishUpload, PutObject, Step

_S = ImageSituation


def expect_copy(state: ImageState, step: CopyObject) -> Expecting:
    """``copy``."""
    refusal = start_problem(state)
    at_rest = (ErrorKind.PRECONDITION,) if refusal else ()
    source, there = state.objects.get(step.key), state.objects.get(step.target)
    if source is None:
        return expecting(state, {_S.COPY_ABSENT}, ErrorKind.NOT_FOUND, *at_rest)
    if there is not None:
        # Whether maintenance concerns what needs no copy is left to the driver.
        if alike(source, there):
            return expecting(state, {_S.COPY_AGAIN}, None, *at_rest)
        return expecting(state, {_S.COPY_OTHER}, ErrorKind.CONFLICT, *at_rest)
    if refusal is not None:
        return refusal
    copy = ObjectModel(
        source.kind,
        source.content_type,
        source.pieces,
        source.parts,
        state.clock,
        (step.key, source.born),
    )
    situations = {_S.COPY}
    if not source.size_bytes:
        situations.add(_S.COPY_EMPTY)
    if source.parts > 1:
        situations.add(_S.COPY_JOINED)
    return expecting(state, situations, None, then=state.with_object(step.target, copy))


def seen_of_copies(state: ImageState, step: Step, expectation: Expecting) -> Expecting:
    """The expectation with what the step shows of copies made before."""
    situations: set[_S] = set()
    if isinstance(step, GetObject) and step.key in state.objects:
        copied = state.objects[step.key].copied
        if copied is not None:
            source = state.objects.get(copied[0])
            alone = source is None or source.born != copied[1]
            situations = {_S.COPY_READ, _S.COPY_ALONE} if alone else {_S.COPY_READ}
    elif state.copies_of(_replaced(state, step)):
        situations = {_S.SOURCE_GONE}
    if not situations:
        return expectation
    return Expectation(expectation.situations | situations, expectation.branches)


def _replaced(state: ImageState, step: Step) -> str:
    """The key of the object that a step deletes or puts another in place of, or nothing."""
    match step:
        case DeleteObject() | PutObject():
            return step.key
        case FinishUpload() if step.upload in state.uploads:
            return state.uploads[step.upload].key
        case _:
            return ""


def alike(source: ObjectModel, there: ObjectModel) -> bool:
    """Whether an object is what a copy of the source would be."""
    return (source.kind, source.content_type, source.size_bytes, source.sha256) == (
        there.kind,
        there.content_type,
        there.size_bytes,
        there.sha256,
    )
