"""The story without doing it: every plan, drafted on a catalogue in memory as if all went well."""

from pathlib import Path
from typing import Any

import msgspec

from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import Gone
from holdfast.contract.capabilities import (
    AccessCapabilities,
    CloneCapabilities,
    PrimaryCapabilities,
    ResizeCapabilities,
    SnapshotCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.requests import Role, ScopeKind
from holdfast.data.disk_images import inspect_image
from holdfast.demo.image import IMAGE_BYTES
from holdfast.demo.story import HOST, ZONE
from holdfast.model.owner_and_wish import Owner
from holdfast.model.rows import Scope, Store
from holdfast.operations import journal
from holdfast.operations.operation_outcome import VERDICT_OF
from holdfast.operations.plan_text import PlanText, plan_text
from holdfast.operations.workflow import Draft, Workflow
from holdfast.steps.builtin import builtin_registry
from holdfast.workflows import (
    add_store,
    create_backup,
    create_snapshot,
    create_volume_from_template,
    register_template,
    resize_volume,
    restore_backup,
    revert_volume,
)
from holdfast.workflows.zones_and_hosts import make_host, make_zone

# What any folder declares; one that shares blocks moves less.
_DECLARED = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 60, size_granularity_bytes=4096
    ),
    access=AccessCapabilities(hosts_max=1),
    resize=ResizeCapabilities(),
    snapshot=SnapshotCapabilities(revert=True),
    clone=CloneCapabilities(from_snapshot=True),
)


class _NoConfig(msgspec.Struct, frozen=True):
    """Nothing is opened, so nothing is configured."""


async def rehearse(image: Path | None) -> list[PlanText]:
    """Every plan of the story, in order; only the image's headers are read.

    Raises:
        UsageError: the image is missing, unreadable, no image, or cut off.
    """
    size = IMAGE_BYTES
    if image is not None:
        size = (await runtime().run_blocking(inspect_image, image)).size_bytes
    async with MemoryCatalogue().opened() as catalogue:
        rehearsal = _Rehearsal(catalogue)
        await _play(rehearsal, size, path=str(image or "the image to be built"))
    return rehearsal.plans


async def _play(rehearsal: "_Rehearsal", size: int, *, path: str) -> None:
    """The acts of the story."""
    await rehearsal.build_zone()
    primary = await rehearsal.add_store("primary-1", Role.PRIMARY)
    images = await rehearsal.add_store("images", Role.IMAGE)
    second = await rehearsal.add_store("primary-2", Role.PRIMARY)
    template = await rehearsal.pretend(
        register_template(name="demo", store=images, path=path, size_bytes=size)
    )
    volume = await rehearsal.pretend(
        create_volume_from_template(name="root-1", store=primary, template=template)
    )
    snapshot = await rehearsal.pretend(create_snapshot(volume, name="before"))
    backup = await rehearsal.pretend(create_backup(snapshot, name="backup-1", store=images))
    await rehearsal.pretend(resize_volume(volume, size_bytes=size + size // 2))
    await rehearsal.pretend(revert_volume(volume, snapshot=snapshot))
    await rehearsal.pretend(restore_backup(backup, name="restored-1", store=second))


class _Rehearsal:
    """Accepts workflows on a catalogue in memory and lets every step succeed unperformed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.plans: list[PlanText] = []
        self._catalogue = catalogue
        self._registry = builtin_registry()

    async def build_zone(self) -> None:
        """The zone and the host that everything is in."""
        await self._catalogue.transact(
            lambda tx: (make_zone(tx, ZONE), make_host(tx, HOST, zone=ZONE))
        )

    async def add_store(self, name: str, role: Role) -> str:
        """A store that declares what any folder does."""
        store = await self.pretend(
            add_store(
                name=name,
                role=role,
                provider="local",
                config=_NoConfig(),
                scope=Scope(ScopeKind.HOST, HOST),
                hosts=(HOST,),
            )
        )

        def describe(tx: Transaction) -> None:
            declared = msgspec.Raw(msgspec.json.encode(_DECLARED))
            row = tx.get(Store, store)
            tx.update(msgspec.structs.replace(row, hosts=(HOST,), capabilities=declared))

        await self._catalogue.transact(describe)
        return store

    async def pretend(self, workflow: Workflow) -> str:
        """Accept, keep the plan, and commit success; the subject's id is returned."""

        def commit(tx: Transaction) -> Draft:
            running = journal.begin(f"op-{len(self.plans)}", workflow, Owner(), 0.0)(tx)
            draft = Draft(plan=running.plan, involved=running.operation.involved)
            nothing: Any = Gone(key="")
            while running.operation.state not in VERDICT_OF:
                running = journal.advance(running, nothing, (), 0.0, checkpoints=False)(tx)
            return draft

        draft = await self._catalogue.transact(commit)
        self.plans.append(plan_text(workflow.kind, draft, self._registry))
        return workflow.subject
