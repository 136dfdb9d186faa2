"""A volume that is filled from a template goes on where it was stopped, chunk by chunk."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import Checkpoint, Scope, Step
from holdfast.motion.block_digests import BLOCK_BYTES
from holdfast.motion.chunk_map import CHUNK_BYTES
from holdfast.motion.mechanism import Pair, Refusal
from holdfast.motion.mechanisms.reflink import Reflink
from holdfast.motion.transfer import Moved
from holdfast.operations.journal import unfinished
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.step_journal import StepJournal
from holdfast.workflows import add_store, create_volume_from_template, register_template
from holdfast.workflows.zones_and_hosts import make_host, make_zone
from holdfast_drivers.local.config import LocalConfig

SIZE = CHUNK_BYTES + BLOCK_BYTES + 4096
RUNS = (0, CHUNK_BYTES - 4096, CHUNK_BYTES + BLOCK_BYTES)
CHUNKS = 2
HOST, ZONE = "host-1", "zone-1"
FILL = 2
"""The number of the step."""


def write_template(path: Path) -> None:
    with path.open("xb") as file:
        file.truncate(SIZE)
        for number, offset in enumerate(RUNS, 1):
            file.seek(offset)
            file.write(bytes([number]) * 4096)


async def store(orchestrator: Orchestrator, role: Role, root: Path) -> str:
    added = add_store(
        name=root.name,
        role=role,
        provider="local",
        config=LocalConfig(root=str(root), namespace="space"),
        scope=Scope(ScopeKind.HOST, HOST),
        hosts=(HOST,),
    )
    return (await orchestrator.run(added)).expect().subject


async def filled(orchestrator: Orchestrator, operation: str) -> Moved:
    """What the step that filled the volume says of it."""
    rows = await orchestrator.catalogue.transact(lambda tx: tx.select(Step, operation=operation))
    return msgspec.json.decode(rows[FILL].result, type=Moved)


def content_of_volume(root: Path) -> bytes:
    found = {
        path.stat().st_ino: path
        for path in root.rglob("*")
        if path.is_file() and path.stat().st_size == SIZE
    }
    (only,) = found.values()
    return only.read_bytes()


def refused(_: Reflink, pair: Pair) -> Refusal:
    return Refusal(f"{pair.source.name} is shared in no such test")


@pytest.mark.parametrize("stopped_at", [1, 2])
def test_a_paused_fill_goes_on_with_the_chunks_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    """Stopped at a checkpoint and resumed by another orchestrator, no chunk is moved twice."""
    write_template(tmp_path / "image")
    (tmp_path / "primary").mkdir()
    (tmp_path / "images").mkdir()
    # Where blocks can be shared all is done at once, and there is nothing to resume.
    monkeypatch.setattr(Reflink, "offer", refused)
    reached: list[int] = []
    plain = StepJournal.checkpoint

    async def story() -> tuple[Moved, int]:
        async with open_catalogue(tmp_path / "catalogue") as catalogue:
            await catalogue.transact(
                lambda tx: (make_zone(tx, ZONE), make_host(tx, HOST, zone=ZONE))
            )
            async with open_orchestrator(catalogue) as orchestrator:
                primary = await store(orchestrator, Role.PRIMARY, tmp_path / "primary")
                images = await store(orchestrator, Role.IMAGE, tmp_path / "images")
                template = await orchestrator.run(
                    register_template(
                        name="t", store=images, path=str(tmp_path / "image"), size_bytes=SIZE
                    )
                )

                async def stopping(journal: StepJournal, entry: bytes) -> None:
                    reached.append(len(entry))
                    if len(reached) == stopped_at:
                        going = await catalogue.transact(unfinished)
                        await orchestrator.pause(going[0].id)
                    await plain(journal, entry)

                monkeypatch.setattr(StepJournal, "checkpoint", stopping)
                making = create_volume_from_template(
                    name="v", store=primary, template=template.expect().subject
                )
                paused = await orchestrator.run(making)
                assert paused.verdict is Verdict.PAUSED
            async with open_orchestrator(catalogue) as orchestrator:
                (await orchestrator.resume(paused.operation)).expect()
                moved = await filled(orchestrator, paused.operation)
                left = await catalogue.transact(lambda tx: tx.select(Checkpoint))
                return moved, len(left)

    moved, left = asyncio.run(story())
    content = content_of_volume(tmp_path / "primary")
    assert content == (tmp_path / "image").read_bytes()
    assert left == 0
    # An object of this store is data from end to end; the first checkpoint tells of its source.
    assert moved.moved_bytes + moved.resumed_bytes == SIZE
    assert moved.resumed_bytes == (stopped_at - 1) * CHUNK_BYTES
    assert len(reached) == 1 + CHUNKS
