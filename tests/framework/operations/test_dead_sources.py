"""What is read in no driver's call may lie on a dead disk, while everything else is well."""

import asyncio
import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from holdfast.contract.requests import Role
from holdfast.model.rows import StoredObject
from holdfast.operations.operation_outcome import Verdict
from holdfast.scrub import FindingKind, scrub
from holdfast.workflows import register_template
from holdfast_drivers.local.config import LocalConfig
from stories import IMAGE_BYTES, write_image
from zones import Zone, disagreements, local_zone

pytestmark = pytest.mark.slow

STUCK = 12
"""More than there are threads that all share."""


@contextmanager
def dead(path: Path) -> Iterator[Path]:
    """A file whose readers are stuck in the system until the context ends."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


def test_templates_of_a_dead_disk_stop_nothing_else(tmp_path: Path) -> None:
    """While they are stuck, another is registered, in the same store."""
    image = write_image(tmp_path)
    other = tmp_path / "other.raw"
    other.write_bytes(image.read_bytes())

    async def story() -> None:
        async with local_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                images = await zone.add(orchestrator, "images", Role.IMAGE)
                with dead(other):
                    stuck = [
                        orchestrator.start(
                            register_template(
                                name=f"t{n}", store=images, path=str(other), size_bytes=IMAGE_BYTES
                            )
                        )
                        for n in range(STUCK)
                    ]
                    well = register_template(
                        name="well", store=images, path=str(image), size_bytes=IMAGE_BYTES
                    )
                    assert (await orchestrator.run(well)).verdict is Verdict.SUCCEEDED
                    assert not any(one.done() for one in stuck)
                ended = {one.verdict for one in await asyncio.gather(*stuck)}
                assert ended == {Verdict.SUCCEEDED}
            assert await disagreements(zone) == []

    asyncio.run(story())


def files_of(zone: Zone, keys: list[str]) -> list[Path]:
    """The files of objects."""
    config = zone.testbed.config(Role.IMAGE, "images")
    assert isinstance(config, LocalConfig)
    return [one for key in keys for one in Path(config.root).rglob(f"{key}/data.*")]


def test_a_deep_scrub_of_a_dead_store_stops_nothing_else(tmp_path: Path) -> None:
    """Each object that cannot be read is told, and costs nobody else a thread."""
    image = write_image(tmp_path)

    async def story() -> None:
        async with local_zone() as zone:
            async with zone.orchestrator() as orchestrator:
                images = await zone.add(orchestrator, "images", Role.IMAGE)
                others = await zone.add(orchestrator, "others", Role.IMAGE)
                for n in range(STUCK):
                    made = register_template(
                        name=f"t{n}", store=images, path=str(image), size_bytes=IMAGE_BYTES
                    )
                    (await orchestrator.run(made)).expect()
                keys = [row.key for row in await zone.rows(StoredObject)]
                files = files_of(zone, keys)
                assert len(files) == STUCK
                with ExitStack() as stack:
                    for file in files:
                        stack.enter_context(dead(file))
                    report = await scrub(orchestrator, deep=True, patience_s=0.1)
                    unread = {f.key for f in report.findings if f.kind is FindingKind.UNREADABLE}
                    assert unread == set(keys)
                    well = register_template(
                        name="well", store=others, path=str(image), size_bytes=IMAGE_BYTES
                    )
                    assert (await orchestrator.run(well)).verdict is Verdict.SUCCEEDED
            assert await disagreements(zone) == []

    asyncio.run(story())
