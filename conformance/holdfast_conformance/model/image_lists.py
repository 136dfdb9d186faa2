"""What the lists of an image store hold, and what makes a walk over them interesting."""

from collections.abc import Iterator

from holdfast.contract.answers import ObjectInfo, OwnedKind
from holdfast.contract.requests import ListObjects
from holdfast_conformance.list_steps import NextPage, PagedList
from holdfast_conformance.model.difference import Difference
from holdfast_conformance.model.image_reply import item_differences, listed
from holdfast_conformance.model.image_state import ImageSituation, ImageState
from holdfast_conformance.model.life_cycle import wrong_type
from holdfast_conformance.model.page_tokens import Listing, next_differences
from holdfast_conformance.plan import (
    WalkObjects,
)
from holdfast_conformance.trace import Continued, Ok, Reply

_S = ImageSituation
_PATTERN = frozenset("%_*?[]\\'\"^$.+(){}|")
"""What a prefix must not be taken for: a pattern, an expression, the end of a quotation."""


def listing_of(state: ImageState, of: PagedList) -> Listing:
    """What a list shows, as the state is now; a prefix is as old as the oldest key in it."""
    if not isinstance(of, ListObjects):
        raise TypeError(f"an image store has no list {type(of).__name__}")
    keys, prefixes = listed(state, of.prefix, of.delimiter)
    born = {key: model.born for key, model in state.objects.items()}
    return Listing(
        OwnedKind.OBJECT,
        {key: born[key] for key in keys},
        {
            prefix: min(when for key, when in born.items() if key.startswith(prefix))
            for prefix in prefixes
        },
    )


def next_page_differences(state: ImageState, step: NextPage, reply: Reply) -> Iterator[Difference]:
    """What is wrong with the page after one that was taken."""
    if isinstance(reply, Ok):
        return  # The list was at its end, so that nothing was asked.
    if not isinstance(reply, Continued):
        yield wrong_type("Continued", reply)
        return
    yield from next_differences(state, step, reply, listing_of(state, step.of))
    for item in reply.page.items:
        if isinstance(item, ObjectInfo):
            yield from item_differences(state, item)


def walk_situations(state: ImageState, step: WalkObjects) -> set[ImageSituation]:
    """What a walk shows that a single page of letters would not."""
    keys, prefixes = listed(state, step.prefix, step.delimiter)
    tests = {
        _S.WALK: True,
        _S.WALK_PAGES: len(keys) + len(prefixes) > step.limit,
        _S.WALK_FOLDED: bool(prefixes),
        _S.WALK_LITERAL: not _PATTERN.isdisjoint(step.prefix),
        _S.WALK_EXACT: step.prefix in state.objects,
        _S.WALK_DELIMITER: step.delimiter not in ("", "/"),
        _S.WALK_ENCODED: any(not key.isascii() or not key.isalnum() for key in keys),
    }
    return {situation for situation, true in tests.items() if true}
