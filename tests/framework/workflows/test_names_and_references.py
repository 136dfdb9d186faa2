"""Rows are made under proper names that nothing has, and refer only to what is there."""

import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Transaction
from holdfast.contract.errors import ConfigurationError, HoldfastError, Invalid
from holdfast.contract.requests import Role, ScopeKind
from holdfast.model.rows import ROWS, Row, Scope, Volume
from holdfast.operations.operation_outcome import Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.text.names import BadName
from holdfast.workflows import (
    Refused,
    add_store,
    attach_volume,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_volume,
    register_template,
    restore_backup,
)
from holdfast.workflows.names import NameTaken
from holdfast.workflows.zones_and_hosts import make_host, make_zone
from zones import HOST, ZONE, Planned, Zone, memory_zone, run_inline

KIB = 1 << 10
NAMES = ("", " x", "x\n", "\x1b[2Jx", "x" * 20_000, "vol-0123456789abcdef", "e\u0301", "\udcff")


def zone_named(name: str, tx: Transaction) -> object:
    return make_zone(tx, name)


def host_named(name: str, tx: Transaction) -> object:
    return make_host(tx, name, zone=ZONE)


IN_ZONE = Scope(ScopeKind.ZONE, ZONE)
PLACES = (zone_named, host_named)


class Filled:
    """A zone with one of everything that has a name."""

    def __init__(self, zone: Zone, orchestrator: Orchestrator, image: Path) -> None:
        self.zone = zone
        self.orchestrator = orchestrator
        self.image = image
        self.ids: dict[str, str] = {}
        self._places = itertools.count()

    async def done(self, workflow: Workflow) -> str:
        return (await self.orchestrator.run(workflow)).expect().subject

    async def build(self) -> None:
        self.image.write_bytes(b"x" * 64 * KIB)
        for role in Role:
            self.ids[role] = await self.zone.add(self.orchestrator, role.value, role)
        for kind in ("template", "volume", "snapshot", "backup"):
            self.ids[kind] = await self.done(self.makers()[kind](kind))

    def makers(self) -> dict[str, Callable[[str], Workflow]]:
        """What makes a row of each kind, by the name that it gets."""
        ids = self.ids
        return {
            "store": self.adding,
            "template": lambda name: register_template(
                name=name, store=ids["image"], path=str(self.image), size_bytes=64 * KIB
            ),
            "volume": lambda name: create_volume(
                name=name, store=ids["primary"], size_bytes=64 * KIB
            ),
            "snapshot": lambda name: create_snapshot(ids["volume"], name=name),
            "backup": lambda name: create_backup(ids["snapshot"], name=name, store=ids["image"]),
            "root volume": lambda name: create_volume_from_template(
                name=name, store=ids["primary"], template=ids["template"]
            ),
            "restored volume": lambda name: restore_backup(
                ids["backup"], name=name, store=ids["primary"]
            ),
        }

    def adding(
        self,
        name: str,
        scope: Scope = IN_ZONE,
        hosts: tuple[str, ...] = (HOST,),
        scopes: tuple[ScopeKind, ...] | None = None,
    ) -> Workflow:
        return add_store(
            name=name,
            role=Role.PRIMARY,
            provider="memory",
            config=self.zone.testbed.config(Role.PRIMARY, f"place-{next(self._places)}"),
            scope=scope,
            hosts=hosts,
            scopes=scopes,
        )

    async def rows(self) -> list[Row]:
        return [row for kind in ROWS for row in await self.zone.rows(kind)]

    async def refused(self, workflow: Workflow, error: type[HoldfastError], says: str) -> None:
        """The workflow is refused, and no row of any kind is another one afterwards."""
        before = await self.rows()
        with pytest.raises(error, match=says):
            await self.orchestrator.run(workflow)
        assert await self.rows() == before


def in_filled_zone(folder: Path, story: Callable[[Filled], Awaitable[None]]) -> None:
    async def main() -> None:
        async with memory_zone() as zone, zone.orchestrator() as orchestrator:
            filled = Filled(zone, orchestrator, folder / "disk.raw")
            await filled.build()
            await story(filled)

    run_inline(main())


def test_no_row_of_any_kind_has_an_improper_name(tmp_path: Path) -> None:
    """Whatever makes a row with a name refuses what can be none."""

    async def story(filled: Filled) -> None:
        for make in filled.makers().values():
            for name in NAMES:
                await filled.refused(make(name), BadName, "cannot be the name of a")
        for name in NAMES:
            for place in PLACES:
                with pytest.raises(BadName):
                    await filled.zone.catalogue.transact(partial(place, name))

    in_filled_zone(tmp_path, story)


def test_no_two_living_things_of_a_kind_have_one_name(tmp_path: Path) -> None:
    """A name that something living has in the zone is refused, with that thing's id."""

    async def story(filled: Filled) -> None:
        taken = {"store": "primary", "root volume": "volume", "restored volume": "volume"}
        for kind, make in filled.makers().items():
            name = taken.get(kind, kind)
            await filled.refused(make(name), NameTaken, filled.ids[name])
        for place, name in zip(PLACES, (ZONE, HOST), strict=True):
            with pytest.raises(NameTaken):
                await filled.zone.catalogue.transact(partial(place, name))

    in_filled_zone(tmp_path, story)


def test_a_name_is_free_again_when_nothing_lives_under_it(tmp_path: Path) -> None:
    """What was deleted, and what was never made, keeps no name."""

    async def story(filled: Filled) -> None:
        make = filled.makers()["volume"]
        await filled.done(delete_volume(await filled.done(make("again"))))
        filled.zone.faults.planned = Planned(
            call=len(filled.zone.faults.calls) + 1, error=Invalid("not now")
        )
        failed = await filled.orchestrator.run(make("again"))
        assert failed.verdict is Verdict.FAILED_CLEAN
        volume = await filled.done(make("again"))
        await filled.refused(make("again"), NameTaken, volume)

    in_filled_zone(tmp_path, story)


def test_another_zone_has_names_of_its_own(tmp_path: Path) -> None:
    """Stores and volumes of two zones may have equal names."""

    async def story(filled: Filled) -> None:
        catalogue = filled.zone.catalogue
        await catalogue.transact(
            lambda tx: (make_zone(tx, "zone-2"), make_host(tx, "host-2", zone="zone-2"))
        )
        there = filled.adding("primary", scope=Scope(ScopeKind.ZONE, "zone-2"), hosts=("host-2",))
        store = await filled.done(there)
        same = create_volume(name="volume", store=store, size_bytes=64 * KIB)
        await filled.done(same)
        found = await catalogue.transact(lambda tx: tx.select(Volume, name="volume"))
        assert len(found) == 2

    in_filled_zone(tmp_path, story)


def test_a_store_serves_only_what_is_there_and_what_its_driver_can_serve(tmp_path: Path) -> None:
    """A scope that does not exist, or that the driver does not have, and a host that is not there,
    or elsewhere, are refused with what there is.
    """

    async def story(filled: Filled) -> None:
        catalogue = filled.zone.catalogue
        await catalogue.transact(
            lambda tx: (make_zone(tx, "zone-2"), make_host(tx, "host-2", zone="zone-2"))
        )

        def scoped(kind: ScopeKind, name: str, *hosts: str) -> Workflow:
            return filled.adding("new", scope=Scope(kind, name), hosts=hosts)

        for workflow, says in (
            (scoped(ScopeKind.ZONE, "zone-9"), "no zone 'zone-9'; did you mean zone-"),
            (scoped(ScopeKind.HOST, HOST), "driver memory has no stores of scope host; .* zone"),
            (scoped(ScopeKind.REGION, "r"), "driver memory has no stores of scope region"),
            (scoped(ScopeKind.ZONE, ZONE, "host-7"), "no host 'host-7'; did you mean host-"),
            (scoped(ScopeKind.ZONE, ZONE, "host-2"), "host host-2 is not in zone zone-1"),
        ):
            await filled.refused(workflow, ConfigurationError, says)
        offered = tuple(ScopeKind)

        def any_scope(kind: ScopeKind, name: str, *hosts: str) -> Workflow:
            return filled.adding("new", scope=Scope(kind, name), hosts=hosts, scopes=offered)

        for workflow, error, says in (
            (any_scope(ScopeKind.CLUSTER, "c"), ConfigurationError, "no cluster 'c'"),
            (any_scope(ScopeKind.HOST, "h"), ConfigurationError, "no host 'h'"),
            (
                any_scope(ScopeKind.HOST, HOST, "host-2"),
                ConfigurationError,
                "host host-2 is not in host host-1",
            ),
            (any_scope(ScopeKind.REGION, "a\n"), BadName, "the name of a region"),
        ):
            await filled.refused(workflow, error, says)
        for scope in (
            Scope(ScopeKind.CLUSTER, f"{ZONE}-cluster"),
            Scope(ScopeKind.HOST, HOST),
            Scope(ScopeKind.REGION, "europe"),
        ):
            await filled.done(filled.adding(scope.kind, scope=scope, scopes=offered))
        with pytest.raises(ConfigurationError, match="no zone 'zone-9'"):
            await catalogue.transact(lambda tx: make_host(tx, "host-3", zone="zone-9"))

    in_filled_zone(tmp_path, story)


def test_a_volume_is_attached_only_to_a_host_of_its_store(tmp_path: Path) -> None:
    """A host that the store is not attached to is refused before there is an operation."""

    async def story(filled: Filled) -> None:
        for host in ("host-9", "", "\n"):
            workflow = attach_volume(filled.ids["volume"], host=host)
            await filled.refused(workflow, Refused, "is not attached to host")

    in_filled_zone(tmp_path, story)


def test_a_zone_is_not_made_twice() -> None:
    """Places have their names as ids, and an id is taken once."""

    async def main() -> None:
        async with MemoryCatalogue().opened() as catalogue:
            await catalogue.transact(lambda tx: make_zone(tx, "z"))
            with pytest.raises(NameTaken, match="there is a zone named z already"):
                await catalogue.transact(lambda tx: make_zone(tx, "z"))

    run_inline(main())
