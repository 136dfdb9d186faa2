"""Page tokens: what a list must show when one goes on with a token that it gave before.

A token stands for where its page ended. What was there when the page was taken and still is, and
was not on it, is shown once; what came since may be shown, what went may not. A store may refuse
the token of another list, and one that it gave for another page size; where it takes it, it shows
what belongs to the list that was asked for, each thing once and in order.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import msgspec

from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import ErrorKind
from holdfast_conformance.list_steps import NextPage, PagedList, TakePage
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.primary_state import Situation
from holdfast_conformance.model.role_model import Branch, Expectation, ModelState, TakenPage
from holdfast_conformance.trace import Continued

_S = Situation
P = TypeVar("P", bound=ModelState)


class Listing(msgspec.Struct, frozen=True):
    """What a list holds now: names, each with the birth of the oldest thing it stands for."""

    kind: OwnedKind
    keys: Mapping[str, int]
    prefixes: Mapping[str, int] = {}


def expect_taken(
    state: P, step: TakePage, inner: Expectation[P], listing: Callable[[PagedList], Listing]
) -> Expectation[P]:
    """As the list itself; the page is remembered."""
    names = frozenset(listing(step.of).keys.items())
    pages = {**state.pages, step.page: TakenPage(step.of, state.clock, names)}
    branches = tuple(
        branch
        if branch.kind is not None
        else Branch(None, msgspec.structs.replace(branch.state, pages=pages))
        for branch in inner.branches
    )
    return Expectation(inner.situations | {_S.PAGE_TAKEN}, branches)


def expect_next(
    state: P, step: NextPage, inner: Expectation[P], listing: Callable[[PagedList], Listing]
) -> Expectation[P]:
    """As the list itself; a token of another list or size may be refused."""
    page = state.pages.get(step.page)
    if page is None:
        return Expectation(inner.situations, (Branch(None, state),))
    if not same_list(page.of, step.of):
        situation = _S.PAGE_FOREIGN
    elif page.of != step.of:
        situation = _S.PAGE_RESIZED
    else:
        changed = page.names != frozenset(listing(step.of).keys.items())
        situation = _S.PAGE_CHANGED if changed else _S.PAGE_NEXT
    refusable = page.of != step.of and ErrorKind.INVALID not in inner.kinds
    refused = (Branch(ErrorKind.INVALID, state),) if refusable else ()
    return Expectation(inner.situations | {situation}, (*inner.branches, *refused))


def same_list(one: object, other: PagedList) -> bool:
    """Whether two requests are for the same list, whatever the size of their pages."""
    return type(one) is type(other) and one == msgspec.structs.replace(
        other, limit=getattr(one, "limit", 0)
    )


def next_differences(
    state: ModelState, step: NextPage, reply: Continued, now: Listing
) -> Iterator[Difference]:
    """What is wrong with the names on a page that was asked for with a kept token."""
    page = state.pages.get(step.page)
    if page is None:
        return
    keys = [item.key for item in reply.page.items]
    prefixes: list[str] = list(getattr(reply.page, "prefixes", ()))
    if len(keys) > step.of.limit:
        full = f"at most {step.of.limit} on a page"
        yield _named(now.kind, "", Aspect.SIZE, full, str(len(keys)))
    ended = not reply.page.token
    for seen, names in ((keys, now.keys), (prefixes, now.prefixes)):
        yield from _members(now.kind, seen, names)
        if same_list(page.of, step.of):
            yield from _gone_on(now.kind, seen, names, reply.taken, page.taken, ended=ended)


def _members(kind: OwnedKind, seen: list[str], names: Mapping[str, int]) -> Iterator[Difference]:
    for name in dict.fromkeys(seen):
        if name not in names:
            yield _named(kind, name, Aspect.EXTRA, "not listed", "listed")
    if any(first.encode() >= second.encode() for first, second in pairwise(seen)):
        yield _named(kind, "", Aspect.ORDER, "byte order, each once", ", ".join(seen))


def _gone_on(
    kind: OwnedKind,
    seen: list[str],
    names: Mapping[str, int],
    shown: tuple[str, ...],
    taken: int,
    *,
    ended: bool,
) -> Iterator[Difference]:
    """What is repeated, and what is left out before the page's end."""
    for name in seen:
        if name in shown and names.get(name, taken + 1) <= taken:
            yield _named(kind, name, Aspect.DUPLICATE, "once", "on both pages")
    last = max(seen, default="")
    for name, born in names.items():
        due = born <= taken and name not in shown and (ended or name < last)
        if due and name not in seen:
            yield _named(kind, name, Aspect.MISSING, "listed", "on neither page")


def _named(kind: OwnedKind, name: str, aspect: Aspect, right: str, seen: str) -> Difference:
    return Difference(Where.REPLY, kind, name, aspect, right, seen)
