"""Reading every object of an image store back, and comparing its digests with the catalogue's."""

import asyncio
import contextlib
from functools import partial

from holdfast.catalogue.port import RowDamaged, Transaction
from holdfast.contract.errors import Corrupt, HoldfastError, NotFound
from holdfast.contract.ports import ImageDriver
from holdfast.contract.requests import HeadObject, OpenObject, Role
from holdfast.data.digest import content_digest
from holdfast.data.in_lane import open_in_lane
from holdfast.data.whole_objects import read_object
from holdfast.model.rows import Backup, StoredObject, Template
from holdfast.model.state_tables import ObjectState
from holdfast.scrub.comparison import PAGE, StoreScrub
from holdfast.scrub.findings import FindingKind, told

_SLOWEST_BYTES_PER_S = 4 << 20


async def read_objects(one: StoreScrub) -> None:
    """Read every Ready object of the store; each fails for itself."""
    if one.store.role is not Role.IMAGE:
        return
    driver = await one.orchestrator.stores.image(one.store.id)
    after = ""
    while page := await one.catalogue.transact(partial(_page, store=one.store.id, after=after)):
        after = page[-1][0].id
        for row, content in page:
            if row.state is ObjectState.READY:
                await _check(one, driver, row, content)


def _page(tx: Transaction, *, store: str, after: str) -> list[tuple[StoredObject, str]]:
    rows = tx.page(StoredObject, after=after, limit=PAGE, store=store)
    return [(row, _content_of(tx, row)) for row in rows]


async def _check(one: StoreScrub, driver: ImageDriver, row: StoredObject, content: str) -> None:
    # It is read twice.
    limit_s = one.patience_s + 2 * row.size_bytes / _SLOWEST_BYTES_PER_S
    kind = FindingKind.CORRUPT
    try:
        async with asyncio.timeout(limit_s):
            problem = await _read(one, driver, row, content)
    except (Corrupt, NotFound) as error:
        problem = error.cause
    except (HoldfastError, TimeoutError, OSError) as error:
        kind, problem = FindingKind.UNREADABLE, f"it cannot be read now: {told(error)}"
    one.findings.digests += kind is FindingKind.CORRUPT
    # What was deleted, or is being used otherwise, while it was read is no finding.
    if not problem:
        return
    if await one.catalogue.transact(lambda tx: tx.find(StoredObject, row.id) == row):
        one.findings.add(kind, "object", row.key, problem)


async def _read(one: StoreScrub, driver: ImageDriver, row: StoredObject, content: str) -> str:
    """What is wrong with one object, or nothing; ``Corrupt`` when the store itself says so."""
    async for _ in read_object(driver, one.ctx, row.key):
        pass  # read_object compares size and SHA-256 with what the store promises, at the end
    head = await driver.head(one.ctx(), HeadObject(key=row.key))
    if row.sha256 and head.sha256 != row.sha256:
        return f"SHA-256 is {head.sha256}, not {row.sha256}"
    handle = await driver.open_object(one.ctx(), OpenObject(key=row.key))
    async with open_in_lane(handle, one.orchestrator.stores.lane(one.store.id)) as opened:
        digest = await content_digest(opened)
    if content and digest != content:
        return f"its content digest is {digest}, not {content}"
    return ""


def _content_of(tx: Transaction, row: StoredObject) -> str:
    with contextlib.suppress(RowDamaged):  # a finding of its own; the object is read all the same
        owner = tx.find(Template, row.owner) or tx.find(Backup, row.owner)
        return owner.content if owner is not None else ""
    return ""
