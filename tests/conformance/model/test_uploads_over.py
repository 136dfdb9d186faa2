"""The model of uploads that are over, of parts that were replaced, and of what shows what lives."""

import pytest
from tests.conformance.scenarios.test_image import RICH

from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import AbortUpload, DeleteObject, StartUpload
from holdfast_conformance.model.image_state import ImageSituation, ImageState
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.plan import (
    FinishUpload,
    OlderPart,
    Plan,
    PutObject,
    SendPart,
    Step,
    preparation,
)

START = StartUpload(upload="u", key="k", kind=ObjectKind.TEMPLATE)
FIRST = SendPart(upload="u", number=1, content=1, size_bytes=100)
SECOND = SendPart(upload="u", number=1, content=2, size_bytes=100)
OLDER = OlderPart(number=1, content=1, size_bytes=100)
FINISH = FinishUpload(upload="u", numbers=(1,))
PUT = PutObject(
    upload="other", key="k", kind=ObjectKind.ISO, content_type="x/y", content=9, size_bytes=7
)
MODEL = ImageModel(RICH)
PLAN = Plan(id="p", role=MODEL.role, origin="", store="s", hosts=(), ready=True, steps=())


def after(*steps: Step) -> ImageState:
    state = MODEL.initial(PLAN)
    for step in (*preparation(PLAN), *steps):
        state = MODEL.expect(state, step).likely
    return state


@pytest.mark.parametrize(
    ("before", "step", "kinds"),
    [
        ((START, FIRST), FinishUpload(upload="u", numbers=(1,), older=(OLDER,)), {None}),
        (
            (START, FIRST, SECOND),
            FinishUpload(upload="u", numbers=(1,), older=(OLDER,)),
            {ErrorKind.INVALID},
        ),
        ((START, FIRST, SECOND, FIRST), FINISH, {None}),
        ((START, FIRST, AbortUpload(upload="u"), START), FINISH, {ErrorKind.INVALID}),
    ],
)
def test_a_part_is_what_was_acknowledged_last(
    before: tuple[Step, ...], step: Step, kinds: set[ErrorKind | None]
) -> None:
    """What was replaced, or dropped with its upload, is no part."""
    found = MODEL.expect(after(*before), step).kinds

    assert kinds <= found
    assert (None in kinds) == (None in found)


@pytest.mark.parametrize("change", [PUT, DeleteObject(key="k")])
def test_a_late_completion_changes_nothing(change: Step) -> None:
    """Whatever the answer is, what is there now stays, and the answer need not be about it."""
    state = after(START, FIRST, FINISH, change)
    expectation = MODEL.expect(state, FINISH)

    assert ImageSituation.COMPLETE_LATE in expectation.situations
    assert {branch.state.objects == state.objects for branch in expectation.branches} == {True}
    assert not MODEL.shows_what_lives(state, FINISH)
    assert MODEL.shows_what_lives(after(START, FIRST, FINISH), FINISH)


def test_an_upload_that_takes_a_key_is_told_from_the_first() -> None:
    """Completing it is interesting, whether the first was aborted or completed."""
    again = (START, SECOND)
    for ended in (AbortUpload(upload="u"), FINISH):
        expectation = MODEL.expect(after(START, FIRST, ended, *again), FINISH)
        assert ImageSituation.COMPLETE_USED in expectation.situations
    expectation = MODEL.expect(after(START, FIRST), FINISH)
    assert ImageSituation.COMPLETE_USED not in expectation.situations


def test_what_two_uploads_of_one_key_made_is_told_by_nobody() -> None:
    """Keys are given once: which of the two a later completion is about is left to the driver."""
    again = StartUpload(upload="u", key="another", kind=ObjectKind.TEMPLATE)
    state = after(START, FIRST, FINISH, again, SECOND, FINISH)
    expectation = MODEL.expect(state, FINISH)

    assert state.is_settled("u")  # by the step before
    assert ImageSituation.COMPLETE_AGAIN not in expectation.situations
    assert not MODEL.shows_what_lives(expectation.likely, FINISH)
