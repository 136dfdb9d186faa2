"""Stores whose folders were exchanged, as a wrong mount does, are not taken for each other."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import DriverError, Unknown
from holdfast.contract.requests import Role
from holdfast.model.rows import Quarantined, Row, Snapshot, Store, StoredObject, Volume, VolumeGrant
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.scrub import FindingKind, scrub
from holdfast.workflows import (
    adopt_store,
    attach_volume,
    cancel_maintenance,
    create_backup,
    create_snapshot,
    create_volume,
    delete_snapshot,
    delete_volume,
    detach_volume,
    maintain_store,
    register_template,
    remove_store,
    resize_volume,
    revert_volume,
)
from holdfast_drivers.local.config import LocalConfig
from zones import HOST, Planned, Zone, local_zone, run_inline

NAMES = ("gold", "silver")
HELD = (Volume, Snapshot, StoredObject, VolumeGrant, Store)
SIZE = 64 << 10


class Pair:
    """Two primary stores with a volume and a snapshot each, and two image stores."""

    def __init__(self, zone: Zone, folder: Path) -> None:
        self.zone = zone
        self.away = folder / "away"
        self.image = folder / "disk.raw"
        self.image.write_bytes(b"x" * SIZE)
        self.stores: dict[str, str] = {}
        self.volumes: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}

    def place(self, name: str, role: Role) -> Path:
        config = self.zone.testbed.config(role, name)
        assert isinstance(config, LocalConfig)
        return Path(config.root) / config.namespace / role.value

    async def build(self, orchestrator: Orchestrator) -> None:
        for name in NAMES:
            store = self.stores[name] = await self.zone.add(orchestrator, name, Role.PRIMARY)
            self.stores[f"{name}-images"] = await self.zone.add(
                orchestrator, f"{name}-images", Role.IMAGE
            )
            made = await orchestrator.run(create_volume(name=name, store=store, size_bytes=SIZE))
            self.volumes[name] = made.expect().subject
            kept = await orchestrator.run(create_snapshot(made.subject, name=name))
            self.snapshots[name] = kept.expect().subject

    def exchange(self) -> None:
        """The folders of gold are where those of silver were, and the other way about."""
        for suffix, role in (("", Role.PRIMARY), ("-images", Role.IMAGE)):
            gold, silver = (self.place(f"{name}{suffix}", role) for name in NAMES)
            gold.rename(self.away)
            silver.rename(gold)
            self.away.rename(silver)

    def take_away(self) -> None:
        """The folders of gold are not there, as before a mount."""
        self.place("gold", Role.PRIMARY).rename(self.away)

    def bring_back(self) -> None:
        self.away.rename(self.place("gold", Role.PRIMARY))

    async def rows(self) -> list[Row]:
        return [row for kind in HELD for row in await self.zone.rows(kind)]

    def work(self) -> list[Workflow]:
        """Work of every kind on gold, whose row is Ready."""
        store, volume = self.stores["gold"], self.volumes["gold"]
        images, snapshot = self.stores["gold-images"], self.snapshots["gold"]
        return [
            create_volume(name="new", store=store, size_bytes=SIZE),
            create_snapshot(volume, name="new"),
            resize_volume(volume, size_bytes=2 * SIZE),
            revert_volume(volume, snapshot=snapshot),
            attach_volume(volume, host=HOST),
            create_backup(snapshot, name="new", store=self.stores["silver-images"]),
            delete_snapshot(snapshot),
            delete_volume(volume),
            maintain_store(store),
            maintain_store(images),
            remove_store(images),
        ]

    def registering(self) -> Workflow:
        """A template for the image store of gold."""
        return register_template(
            name="template",
            store=self.stores["gold-images"],
            path=str(self.image),
            size_bytes=SIZE,
        )


async def _refused(pair: Pair, orchestrator: Orchestrator, *says: str) -> None:
    """Everything asked of gold fails clean, says why, and no row of gold is otherwise."""
    before = {row.id: _settled(row) for row in await pair.rows()}
    for workflow in pair.work():
        ended = await orchestrator.run(workflow)
        assert ended.verdict is Verdict.FAILED_CLEAN, ended
        assert all(said in ended.error for said in says), ended.error
    after = {row.id: _settled(row) for row in await pair.rows() if row.id in before}
    assert after == before


def _settled(row: Row) -> Row:
    """A row without how often it was written."""
    return msgspec.structs.replace(row, version=0)


async def _scrubbed(pair: Pair, orchestrator: Orchestrator, *unreachable: str) -> None:
    """Scrub names the stores that are not what they should be, and believes nothing of them."""
    before = await pair.rows()
    report = await scrub(orchestrator, deep=True)
    found = [(one.kind, one.key) for one in report.findings]
    assert sorted(found) == [(FindingKind.UNREACHABLE, name) for name in sorted(unreachable)]
    assert await pair.rows() == before
    assert await pair.zone.rows(Quarantined) == []


def in_zone(folder: Path, story: Callable[[Pair], Awaitable[None]]) -> None:
    async def main() -> None:
        async with local_zone() as zone:
            pair = Pair(zone, folder)
            async with zone.orchestrator() as orchestrator:
                await pair.build(orchestrator)
            await story(pair)

    run_inline(main())


def test_exchanged_folders_are_refused_by_every_workflow(tmp_path: Path) -> None:
    """After a wrong mount nothing is created, deleted, rested or given back, and scrub and recover
    lose no row; when the right folders are back, work goes on.
    """

    async def story(pair: Pair) -> None:
        pair.exchange()
        async with pair.zone.orchestrator() as orchestrator:
            await _refused(pair, orchestrator, "this is store silver", "gold", "was expected")
            await _scrubbed(pair, orchestrator, *NAMES, *(f"{name}-images" for name in NAMES))
        pair.exchange()
        async with pair.zone.orchestrator() as orchestrator:
            await _scrubbed(pair, orchestrator)
            for workflow in (delete_snapshot(pair.snapshots["gold"]), *_life(pair)):
                (await orchestrator.run(workflow)).expect()

    in_zone(tmp_path, story)


def test_nothing_is_uploaded_into_another_image_store(tmp_path: Path) -> None:
    """A template for an image store whose folder is another's does not get there."""

    async def story(pair: Pair) -> None:
        pair.exchange()
        async with pair.zone.orchestrator() as orchestrator:
            ended = await orchestrator.run(pair.registering())
            assert ended.verdict is not Verdict.SUCCEEDED
            assert "this is store silver-images" in ended.error
        silver = pair.place("gold-images", Role.IMAGE)
        assert [*(silver / "objects").iterdir(), *(silver / "uploads").iterdir()] == []

    in_zone(tmp_path, story)


def _life(pair: Pair) -> tuple[Workflow, ...]:
    volume, store = pair.volumes["gold"], pair.stores["gold"]
    return (
        attach_volume(volume, host=HOST),
        detach_volume(volume, host=HOST),
        delete_volume(volume),
        maintain_store(store),
        cancel_maintenance(store),
        remove_store(store),
    )


@pytest.mark.parametrize("missing", [False, True])
def test_a_mount_that_goes_wrong_while_the_stores_are_open_is_seen(
    tmp_path: Path, missing: bool
) -> None:
    """Drivers that were opened on the right folder refuse another one, and none at all."""

    async def story(pair: Pair) -> None:
        async with pair.zone.orchestrator() as orchestrator:
            await _scrubbed(pair, orchestrator)  # opens every store
            if missing:
                pair.take_away()
                before = await pair.rows()
                for workflow in (
                    create_volume(name="new", store=pair.stores["gold"], size_bytes=SIZE),
                    delete_volume(pair.volumes["gold"]),
                ):
                    ended = await orchestrator.run(workflow)
                    assert ended.verdict is Verdict.FAILED_CLEAN, ended
                    assert "there is no store here" in ended.error
                    assert "was expected" in ended.error
                known = {row.id for row in before}
                after = [_settled(row) for row in await pair.rows() if row.id in known]
                assert after == [_settled(row) for row in before]
                await _scrubbed(pair, orchestrator, "gold")
                pair.bring_back()
            else:
                pair.exchange()
                await _refused(pair, orchestrator, "this is store silver", "was expected")
                await _scrubbed(pair, orchestrator, *NAMES, *(f"{name}-images" for name in NAMES))
                pair.exchange()
            await _scrubbed(pair, orchestrator)

    in_zone(tmp_path, story)


def test_recovery_decides_nothing_by_another_store(tmp_path: Path) -> None:
    """What became of a lost delete is not told by a store that never had the volume."""

    async def story(pair: Pair) -> None:
        zone = pair.zone
        zone.faults.planned = Planned(call=1, error=Unknown("lost"), lasting=True)
        async with zone.orchestrator() as orchestrator:
            lost = await orchestrator.run(delete_snapshot(pair.snapshots["gold"]))
            assert lost.verdict is Verdict.UNKNOWN
        zone.faults.planned = None
        pair.exchange()
        async with zone.orchestrator() as orchestrator:
            (found,) = await orchestrator.recover()
            assert found.outcome.verdict is Verdict.UNKNOWN
            assert "was expected" in found.outcome.error
        pair.exchange()
        async with zone.orchestrator() as orchestrator:
            (found,) = await orchestrator.recover()
            assert found.outcome.verdict is Verdict.SUCCEEDED
            await _scrubbed(pair, orchestrator)

    in_zone(tmp_path, story)


def test_a_place_belongs_to_one_catalogue(tmp_path: Path) -> None:
    """A second catalogue that adds the place of a store under its own name is refused, and takes
    nothing back.
    """

    async def story(pair: Pair) -> None:
        zone = pair.zone
        async with MemoryCatalogue().opened() as catalogue:
            other = Zone(zone.testbed, catalogue, zone.provider)
            await other.prepare()
            async with other.orchestrator() as orchestrator:
                added = await orchestrator.run(other.adding("gold", Role.PRIMARY))
                assert added.verdict is Verdict.FAILED_CLEAN, added
                assert "another catalogue has it" in added.error
        async with zone.orchestrator() as orchestrator:
            await _scrubbed(pair, orchestrator)

    in_zone(tmp_path, story)


def test_stores_from_before_are_told_apart_and_adopted(tmp_path: Path) -> None:
    """Without an identity a store is known by its driver's id, so that an exchange is seen; it gets
    an identity once, when it is adopted, and not from a place that is another.
    """

    async def story(pair: Pair) -> None:
        zone, gold = pair.zone, pair.stores["gold"]
        for name in NAMES:
            document = pair.place(name, Role.PRIMARY) / "store.json"
            told = msgspec.json.decode(document.read_bytes())
            del told["identity"]
            document.write_bytes(msgspec.json.encode(told))

        def forget(tx: Transaction) -> None:
            for name in NAMES:
                row = tx.get(Store, pair.stores[name])
                tx.update(msgspec.structs.replace(row, identity=""))

        await zone.catalogue.transact(forget)
        async with zone.orchestrator() as orchestrator:
            await _scrubbed(pair, orchestrator)
            pair.exchange()
            new = create_volume(name="new", store=gold, size_bytes=SIZE)
            for workflow in (new, adopt_store(gold)):
                ended = await orchestrator.run(workflow)
                assert ended.verdict is Verdict.FAILED_CLEAN, ended
                assert "this is store silver" in ended.error
            pair.exchange()
            for _ in range(2):
                (await orchestrator.run(adopt_store(gold))).expect()
            row = await zone.catalogue.transact(lambda tx: tx.get(Store, gold))
            told = msgspec.json.decode(
                (pair.place("gold", Role.PRIMARY) / "store.json").read_bytes()
            )
            assert row.identity == told["identity"] == gold
            await _scrubbed(pair, orchestrator)
            another = create_volume(name="another", store=gold, size_bytes=SIZE)
            (await orchestrator.run(another)).expect()

    in_zone(tmp_path, story)


def test_a_lost_adoption_is_finished_by_recovery(tmp_path: Path) -> None:
    """A store whose adoption had no answer works meanwhile, and recovery records its identity."""

    async def story(pair: Pair) -> None:
        zone, gold = pair.zone, pair.stores["gold"]
        document = pair.place("gold", Role.PRIMARY) / "store.json"
        told = msgspec.json.decode(document.read_bytes())
        del told["identity"]
        document.write_bytes(msgspec.json.encode(told))

        def forget(tx: Transaction) -> None:
            tx.update(msgspec.structs.replace(tx.get(Store, gold), identity=""))

        await zone.catalogue.transact(forget)
        lost: DriverError = Unknown("lost")
        async with zone.orchestrator() as orchestrator:
            zone.faults.planned = Planned(
                call=len(zone.faults.calls) + 1, error=lost, after=True, cancel=orchestrator.stop
            )
            task = orchestrator.start(adopt_store(gold))
            with pytest.raises(asyncio.CancelledError):
                await task
        zone.faults.planned = None
        async with zone.orchestrator() as orchestrator:
            made = create_volume(name="between", store=gold, size_bytes=SIZE)
            (await orchestrator.run(made)).expect()
            (found,) = await orchestrator.recover()
            assert found.outcome.verdict is Verdict.SUCCEEDED
            row = await zone.catalogue.transact(lambda tx: tx.get(Store, gold))
            assert row.identity == gold
            await _scrubbed(pair, orchestrator)

    in_zone(tmp_path, story)
