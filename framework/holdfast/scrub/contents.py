"""Reading every object of an image store back, and comparing its digests with the catalogue's."""

from holdfast.catalogue.port import Transaction
from holdfast.data import open_block_io
from holdfast.data.digest import content_digest
from holdfast.data.put import read_object
from holdfast.errors import Corrupt, NotFound
from holdfast.model.rows import Backup, StoredObject, Template
from holdfast.ports import ImageDriver
from holdfast.requests import HeadObject, OpenObject, Role
from holdfast.scrub.comparison import StoreScrub
from holdfast.scrub.findings import FindingKind


async def read_objects(one: StoreScrub) -> int:
    """Read every Ready object of the store; returns how many."""
    if one.store.role is not Role.IMAGE:
        return 0
    driver = await one.orchestrator.stores.image(one.store.id)
    ready = await one.orchestrator.catalogue.transact(
        lambda tx: [
            (row, _content_of(tx, row))
            for row in tx.select(StoredObject, store=one.store.id)
            if row.state.value == "Ready"
        ]
    )
    for row, content in ready:
        try:
            problem = await _read(one, driver, row, content)
        except (Corrupt, NotFound) as error:
            problem = error.cause
        if problem:
            one.find(FindingKind.CORRUPT, "object", row.key, problem)
    return len(ready)


async def _read(one: StoreScrub, driver: ImageDriver, row: StoredObject, content: str) -> str:
    """What is wrong with one object, or nothing; ``Corrupt`` when the store itself says so."""
    async for _ in read_object(driver, one.ctx, row.key):
        pass  # read_object compares size and SHA-256 with what the store promises, at the end
    head = await driver.head(one.ctx(), HeadObject(key=row.key))
    if row.sha256 and head.sha256 != row.sha256:
        return f"SHA-256 is {head.sha256}, not {row.sha256}"
    handle = await driver.open_object(one.ctx(), OpenObject(key=row.key))
    async with open_block_io(handle) as opened:
        found = await content_digest(opened)
    if content and found != content:
        return f"its content digest is {found}, not {content}"
    return ""


def _content_of(tx: Transaction, row: StoredObject) -> str:
    owner = tx.find(Template, row.owner) or tx.find(Backup, row.owner)
    return owner.content if owner is not None else ""
