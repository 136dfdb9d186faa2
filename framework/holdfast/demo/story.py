"""The story: stores, a template, a volume, writes, a snapshot, a backup, a revert, a restore."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import Role, ScopeKind
from holdfast.demo.acknowledgement import Promise, Promised, acknowledge
from holdfast.demo.guest import Guest
from holdfast.model.rows import Backup, Scope, Template, Volume
from holdfast.operations.operation_outcome import Outcome
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.stores.plugins import load_provider
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

HOST = "host-1"
ZONE = "zone-1"


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done: its result's digest and size, and the operation that did it."""

    number: int
    title: str
    size_bytes: int = 0
    digest: str = ""
    operation: str = ""
    seconds: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two digests that must be equal."""

    what: str
    expected: str
    found: str

    @property
    def agrees(self) -> bool:
        """Whether they are."""
        return self.expected == self.found


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where a store of the demo is: its name, its role, its provider and configuration."""

    name: str
    role: Role
    provider: str
    config: msgspec.Struct


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """What the story plays on: a raw disk image, two primary stores and an image store.

    ``host`` is where volumes are used; all stores are attached to it.
    """

    image: Path
    image_bytes: int
    image_digest: str
    primary: StoreConfig
    images: StoreConfig
    second: StoreConfig
    host: str = HOST


def workflow_to_add(store: StoreConfig, host: str = HOST) -> Workflow:
    """The workflow that adds one of the stores, for use on a host."""
    local = ScopeKind.HOST in load_provider(store.provider).scopes
    return add_store(
        name=store.name,
        role=store.role,
        provider=store.provider,
        config=store.config,
        scope=Scope(ScopeKind.HOST, host) if local else Scope(ScopeKind.ZONE, ZONE),
        hosts=(host,),
    )


class Story:
    """Tells the story once on a new catalogue.

    Args:
        tell: is called with each chapter as it ends.
    """

    def __init__(
        self, orchestrator: Orchestrator, cast: Cast, tell: Callable[[Chapter], None]
    ) -> None:
        self.comparisons: list[Comparison] = []
        self._orchestrator = orchestrator
        self._cast = cast
        self._tell = tell
        self._guest = Guest(orchestrator, cast.host)
        self._number = 0
        self._since = runtime().now()

    async def play(self) -> None:
        """All of it, in order.

        Raises:
            OperationFailed: a workflow did not succeed.
        """
        cast = self._cast
        await self._build_zone()
        primary = await self._add(cast.primary)
        images = await self._add(cast.images)
        second = await self._add(cast.second)
        template = await self._register(images)
        volume, digest = await self._create(primary, template)
        digest = await self._write(volume, "first")
        snapshot = await self._snapshot(volume, digest)
        backup = await self._back_up(snapshot, images, digest)
        await self._grow(volume)
        await self._write(volume, "second")
        await self._revert(volume, snapshot, digest)
        await self._restore(backup, second, digest)

    def _chapter(
        self, title: str, *, size_bytes: int = 0, digest: str = "", operation: str = ""
    ) -> None:
        now = runtime().now()
        self._number += 1
        self._tell(
            Chapter(
                number=self._number,
                title=title,
                size_bytes=size_bytes,
                digest=digest,
                operation=operation,
                seconds=now - self._since,
            )
        )
        self._since = now

    def _compare(self, what: str, expected: str, found: str) -> None:
        self.comparisons.append(Comparison(what=what, expected=expected, found=found))

    async def _run(self, workflow: Workflow) -> Outcome:
        return (await self._orchestrator.run(workflow)).expect()

    async def _size(self, volume: str) -> int:
        row = await self._orchestrator.catalogue.transact(lambda tx: tx.get(Volume, volume))
        return row.size_bytes

    async def _build_zone(self) -> None:
        host = self._cast.host
        await self._orchestrator.catalogue.transact(
            lambda tx: (make_zone(tx, ZONE), make_host(tx, host, zone=ZONE))
        )
        self._chapter(f"zone {ZONE} with host {host}")

    async def _add(self, store: StoreConfig) -> str:
        outcome = await self._run(workflow_to_add(store, self._cast.host))
        self._chapter(f"{store.role} store {store.name} added", operation=outcome.operation)
        return outcome.subject

    async def _register(self, images: str) -> str:
        cast = self._cast
        outcome = await self._run(
            register_template(
                name="demo", store=images, path=str(cast.image), size_bytes=cast.image_bytes
            )
        )
        template = outcome.subject
        row = await self._orchestrator.catalogue.transact(lambda tx: tx.get(Template, template))
        acknowledge(
            Promise(
                promised=Promised.TEMPLATE,
                id=template,
                contents=(row.content,),
                after=outcome.kind,
            )
        )
        self._compare("template = image file", cast.image_digest, row.content)
        self._chapter(
            "template registered",
            size_bytes=row.size_bytes,
            digest=row.content,
            operation=outcome.operation,
        )
        return template

    async def _create(self, primary: str, template: str) -> tuple[str, str]:
        outcome = await self._run(
            create_volume_from_template(name="root-1", store=primary, template=template)
        )
        volume = outcome.subject
        digest = await self._guest.digest(volume)
        self._promise_volume(volume, outcome.kind, digest)
        as_image = await self._guest.digest(volume, as_bytes=self._cast.image_bytes)
        self._compare("volume = template", self._cast.image_digest, as_image)
        self._chapter(
            "volume created from the template",
            size_bytes=await self._size(volume),
            digest=digest,
            operation=outcome.operation,
        )
        return volume, digest

    def _promise_volume(self, volume: str, after: str, *contents: str) -> None:
        acknowledge(Promise(promised=Promised.VOLUME, id=volume, contents=contents, after=after))

    async def _write(self, volume: str, label: str) -> str:
        self._promise_volume(volume, f"before the {label} write")
        written = await self._guest.write(volume, label=label)
        digest = await self._guest.digest(volume)
        self._promise_volume(volume, f"the {label} write", digest)
        self._chapter(f"{label} write, flushed", size_bytes=written, digest=digest)
        return digest

    async def _snapshot(self, volume: str, digest: str) -> str:
        outcome = await self._run(create_snapshot(volume, name="before"))
        acknowledge(
            Promise(
                promised=Promised.SNAPSHOT,
                id=outcome.subject,
                contents=(digest,),
                after=outcome.kind,
            )
        )
        self._chapter(
            "snapshot taken",
            size_bytes=await self._size(volume),
            digest=digest,
            operation=outcome.operation,
        )
        return outcome.subject

    async def _back_up(self, snapshot: str, images: str, digest: str) -> str:
        outcome = await self._run(create_backup(snapshot, name="backup-1", store=images))
        backup = outcome.subject
        row = await self._orchestrator.catalogue.transact(lambda tx: tx.get(Backup, backup))
        acknowledge(
            Promise(
                promised=Promised.BACKUP, id=backup, contents=(row.content,), after=outcome.kind
            )
        )
        self._compare("backup = snapshot", digest, row.content)
        self._chapter(
            "snapshot backed up",
            size_bytes=row.size_bytes,
            digest=row.content,
            operation=outcome.operation,
        )
        return backup

    async def _grow(self, volume: str) -> None:
        size = await self._size(volume)
        before = await self._guest.digest(volume)
        larger = size + size // 2
        # What the store rounds up to is known only afterwards; its blocks are those of 4 KiB.
        larger = -(-larger // 4096) * 4096
        expected = await self._guest.digest(volume, as_bytes=larger)
        self._promise_volume(volume, "before resize_volume", before, expected)
        outcome = await self._run(resize_volume(volume, size_bytes=larger))
        digest = await self._guest.digest(volume)
        self._promise_volume(volume, outcome.kind, digest)
        self._compare("grown volume = volume, then zeroes", expected, digest)
        self._chapter(
            "volume grown",
            size_bytes=await self._size(volume),
            digest=digest,
            operation=outcome.operation,
        )

    async def _revert(self, volume: str, snapshot: str, digest: str) -> None:
        now = await self._guest.digest(volume)
        self._promise_volume(volume, "before revert_volume", now, digest)
        outcome = await self._run(revert_volume(volume, snapshot=snapshot))
        digest_now = await self._guest.digest(volume)
        self._promise_volume(volume, outcome.kind, digest)
        self._compare("reverted volume = snapshot", digest, digest_now)
        self._chapter(
            "volume reverted to the snapshot",
            size_bytes=await self._size(volume),
            digest=digest_now,
            operation=outcome.operation,
        )

    async def _restore(self, backup: str, second: str, digest: str) -> None:
        outcome = await self._run(restore_backup(backup, name="restored-1", store=second))
        digest_now = await self._guest.digest(outcome.subject)
        self._promise_volume(outcome.subject, outcome.kind, digest)
        self._compare("restored volume = backup", digest, digest_now)
        self._chapter(
            f"backup restored to {self._cast.second.name}",
            size_bytes=await self._size(outcome.subject),
            digest=digest_now,
            operation=outcome.operation,
        )
