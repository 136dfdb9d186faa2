"""Lists: walks over all their pages, and single pages with a token of an earlier one."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from holdfast.contract import requests
from holdfast.contract.answers import ObjectPage, SnapshotPage, VolumePage
from holdfast.contract.requests import CallContext
from holdfast_conformance import list_steps
from holdfast_conformance import plan as plans
from holdfast_conformance.trace import Continued, Nonsense, Ok, Reply, Walked
from holdfast_conformance.worker.containment import Failed
from holdfast_conformance.worker.opened import OpenedDrivers

ITEMS_MAX = 10_000
PAGES_MAX = 10_000

Page = VolumePage | SnapshotPage | ObjectPage


class Lists:
    """The lists of one plan's store; keeps the tokens that later steps refer to.

    Args:
        opened: the store.
    """

    def __init__(self, opened: OpenedDrivers) -> None:
        self._opened = opened
        self._taken: dict[str, tuple[tuple[str, ...], str]] = {}

    async def walk_volumes(self, step: plans.WalkVolumes, ctx: CallContext) -> Walked:
        """All pages of volumes."""
        pages = await self._walk(requests.ListVolumes(limit=step.limit), ctx)
        return Walked(tuple(_keys(page) for page in pages))

    async def walk_snapshots(self, step: list_steps.WalkSnapshots, ctx: CallContext) -> Walked:
        """All pages of snapshots, of all volumes or of one."""
        request = requests.ListSnapshots(volume=step.volume, limit=step.limit)
        pages = await self._walk(request, ctx)
        return Walked(tuple(_keys(page) for page in pages))

    async def walk_objects(self, step: plans.WalkObjects, ctx: CallContext) -> Walked:
        """All pages of objects."""
        request = requests.ListObjects(
            prefix=step.prefix, delimiter=step.delimiter, limit=step.limit
        )
        pages = await self._walk(request, ctx)
        return Walked(
            tuple(_keys(page) for page in pages), tuple(_prefixes(page) for page in pages)
        )

    async def take(self, step: list_steps.TakePage, ctx: CallContext) -> Reply:
        """A first page; what it showed and its token are kept."""
        page = await self._page(step.of, ctx)
        self._taken[step.page] = (*_keys(page), *_prefixes(page)), page.token
        return page

    async def go_on(self, step: list_steps.NextPage, ctx: CallContext) -> Reply:
        """A page with the token that was kept; nothing is asked where there is none."""
        taken, token = self._taken.get(step.page, ((), ""))
        if not token:
            return Ok()
        request = msgspec.structs.replace(step.of, token=token)
        return Continued(taken, await self._page(request, ctx))

    async def _walk(self, request: list_steps.PagedList, ctx: CallContext) -> list[Page]:
        verb = requests.verb_of(request)
        pages: list[Page] = []
        items = 0
        while True:
            page = await self._page(request, ctx)
            pages.append(page)
            items += len(page.items) + len(_prefixes(page))
            _check_end(verb, len(pages), items)
            if not page.token:
                return pages
            request = msgspec.structs.replace(request, token=page.token)

    async def _page(self, request: list_steps.PagedList, ctx: CallContext) -> Page:
        images = isinstance(request, requests.ListObjects)
        driver = await (self._opened.image() if images else self._opened.primary())
        verb: Callable[[CallContext, Any], Awaitable[Page]] = getattr(
            driver, requests.verb_of(request)
        )
        return await verb(ctx, request)


def _keys(page: Page) -> tuple[str, ...]:
    return tuple(item.key for item in page.items)


def _prefixes(page: Page) -> tuple[str, ...]:
    return page.prefixes if isinstance(page, ObjectPage) else ()


def _check_end(verb: str, pages: int, items: int) -> None:
    """A list that hands out tokens or items for ever is no answer."""
    if pages >= PAGES_MAX:
        raise Failed(Nonsense(f"{verb} does not end after {pages} pages"))
    if items > ITEMS_MAX:
        raise Failed(Nonsense(f"{verb} does not end after {items} items"))
