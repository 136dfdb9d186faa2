"""Makes an upgrade fixture with the code of this tree, under the name it is given.

A zone of folders with everything a catalogue can hold is played in a process that is killed while
operations are under way; what it leaves is packed as ``fixtures/NAME.tar.xz``.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Denied, Exhausted, Unknown
from holdfast.contract.requests import CallContext, CreateVolume, DeleteVolume, Role, ScopeKind
from holdfast.demo.acknowledgement import Promise, Promised
from holdfast.demo.guest import Guest
from holdfast.model.rows import (
    Backup,
    Cluster,
    DiskOffering,
    Host,
    Pod,
    Scope,
    Template,
    Zone,
)
from holdfast.model.state_tables import Event
from holdfast.operations.journal import unfinished
from holdfast.operations.operation_outcome import Outcome, Verdict
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.step_retries import Policy
from holdfast.operations.workflow import Workflow
from holdfast.scrub import scrub
from holdfast.workflows import (
    add_store,
    attach_volume,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_backup,
    delete_snapshot,
    delete_volume,
    maintain_store,
    register_template,
    resize_volume,
    restore_backup,
    revert_volume,
)
from holdfast_drivers.local.config import LocalConfig
from interfering import Held, Refused, Script, ScriptedOpener
from upgrade_fixtures import CATALOGUE, FIXTURES, KNOWN, Known

HOST = "host-1"
KIB = 1 << 10
QUICK = Policy(attempts=2, probes=2, backoff_s=0.01, backoff_max_s=0.02)


class Player:
    """Plays on one zone, and keeps what it was promised."""

    def __init__(self, orchestrator: Orchestrator, script: Script, root: Path) -> None:
        self.orchestrator = orchestrator
        self.script = script
        self.root = root
        self.guest = Guest(orchestrator, HOST)
        self.promises: dict[str, Promise] = {}
        self.in_error: list[str] = []

    async def run(self, workflow: Workflow) -> Outcome:
        return (await self.orchestrator.run(workflow)).expect()

    def promise(self, promised: Promised, row: str, *contents: str) -> None:
        self.promises[row] = Promise(promised=promised, id=row, contents=contents, after="made")

    async def store(self, name: str, role: Role, capacity_bytes: int | None = None) -> str:
        config = LocalConfig(root=str(self.root), namespace=name, capacity_bytes=capacity_bytes)
        added = add_store(
            name=name,
            role=role,
            provider="local",
            config=config,
            scope=Scope(ScopeKind.HOST, HOST),
            hosts=(HOST,),
        )
        return (await self.run(added)).subject

    async def volume(self, name: str, store: str) -> str:
        """A volume with content that was promised."""
        made = await self.run(create_volume(name=name, store=store, size_bytes=128 * KIB))
        await self.guest.write(made.subject, label=name)
        self.promise(Promised.VOLUME, made.subject, await self.guest.digest(made.subject))
        return made.subject

    async def held(self, workflow: Workflow, *lines: Held | Refused) -> None:
        """Start work that gets as far as the script lets it, and no further."""
        self.script.lines = list(lines)
        self.script.reached.clear()
        self.orchestrator.start(workflow)
        await self.script.reached.wait()

    async def unclear(self, workflow: Workflow, verb: str, *, after: bool) -> None:
        """Work whose one answer is lost, and of which nobody can tell what became of it."""
        lost = Unknown("the answer was lost")
        self.script.lines = [Refused(verb, lost, after=after)] * QUICK.attempts
        self.script.unclear = True
        ended = await self.orchestrator.run(workflow)
        self.script.unclear = False
        self.script.lines = []
        assert ended.verdict is Verdict.UNKNOWN, ended


async def play(root: Path) -> None:
    """Everything a catalogue can hold, then the kill."""
    script = Script()
    async with (
        open_catalogue(root / CATALOGUE) as catalogue,
        open_orchestrator(catalogue, opener=ScriptedOpener(script), policy=QUICK) as orchestrator,
    ):
        await catalogue.transact(
            lambda tx: (
                tx.insert(Zone(id="zone-1", name="zone-1")),
                tx.insert(Pod(id="pod-1", zone="zone-1", name="pod-1")),
                tx.insert(Cluster(id="cluster-1", pod="pod-1", name="cluster-1")),
                tx.fire(tx.insert(Host(id=HOST, cluster="cluster-1", name=HOST)), Event.CONNECTED),
                tx.insert(DiskOffering(id="small", name="small", size_bytes=1 << 20)),
            )
        )
        player = Player(orchestrator, script, root)
        await _history(player)
        await _interrupted(player)
        going = await catalogue.transact(unfinished)
        known = Known(
            root=str(root),
            promises=tuple(player.promises.values()),
            in_flight={one.id: one.state.value for one in going},
            in_error=tuple(player.in_error),
        )
        (root / KNOWN).write_bytes(msgspec.json.format(msgspec.json.encode(known)))
        os.kill(os.getpid(), signal.SIGKILL)


async def _history(player: Player) -> None:
    """Stores of each kind, rows in every lasting state, and ended operations of every outcome."""
    first = await player.store("primary-1", Role.PRIMARY, 64 << 20)
    images = await player.store("images", Role.IMAGE)
    template = (await player.run(_register(player, "template", images))).subject
    row = await player.orchestrator.catalogue.transact(lambda tx: tx.get(Template, template))
    player.promise(Promised.TEMPLATE, template, row.content)
    gone = await player.volume("gone", first)
    passing = (await player.run(create_snapshot(gone, name="passing"))).subject
    dropped = (await player.run(create_backup(passing, name="dropped", store=images))).subject
    await player.run(delete_backup(dropped))
    await player.run(delete_snapshot(passing))
    await player.run(delete_volume(gone))
    del player.promises[gone]
    full = Exhausted("the store is full")
    player.script.lines = [Refused("create_volume", full)]
    refused = create_volume(name="refused", store=first, size_bytes=64 * KIB)
    assert (await player.orchestrator.run(refused)).verdict is Verdict.FAILED_CLEAN
    player.script.lines = [
        Refused("grant", full),
        Refused("delete_volume", Denied("it may not be deleted")),
    ]
    broken = create_volume_from_template(name="broken", store=first, template=template)
    assert (await player.orchestrator.run(broken)).verdict is Verdict.FAILED_DIRTY
    lost = (await player.run(create_volume(name="lost", store=first, size_bytes=64 * KIB))).subject
    player.in_error += [broken.subject, lost]
    volumes = player.root / "primary-1" / "primary" / "volumes"
    for folder in list(volumes.iterdir()):
        if msgspec.json.decode((folder / "row.json").read_bytes())["key"] == lost:
            shutil.rmtree(folder)
    driver = await player.orchestrator.stores.primary(first)
    ctx = CallContext(operation="guest", deadline=runtime().now() + 600.0)
    await driver.create_volume(ctx, CreateVolume(key="stranger", size_bytes=64 * KIB))
    report = await scrub(player.orchestrator)
    assert {"stranger", lost} <= {one.key for one in report.findings}, report
    # Its row in quarantine stays until the next scrub.
    await driver.delete_volume(ctx, DeleteVolume(key="stranger"))


def _register(player: Player, name: str, images: str) -> Workflow:
    path = player.root / f"{name}.raw"
    path.write_bytes(bytes(range(256)) * 256 + bytes(64 * KIB) + name.encode() * 512)
    os.truncate(path, 160 * KIB)
    return register_template(
        name=name, store=images, path=str(path), size_bytes=path.stat().st_size
    )


async def _interrupted(player: Player) -> None:
    """An operation of each kind, caught before or after its call acted."""
    second = await player.store("primary-2", Role.PRIMARY)
    more = await player.store("more-images", Role.IMAGE, 64 << 20)
    spare = await player.store("spare", Role.PRIMARY)
    names = ("granted", "grown", "snapped", "reverted", "deleted", "saved", "kept", "unsure")
    made = {name: await player.volume(name, second) for name in names}
    await player.run(attach_volume(made["granted"], host=HOST))
    await player.run(attach_volume(made["kept"], host=HOST))
    snapshots: dict[str, str] = {}
    for name in ("reverted", "saved", "unsure"):
        (digest,) = player.promises[made[name]].contents
        snapshots[name] = (await player.run(create_snapshot(made[name], name=name))).subject
        player.promise(Promised.SNAPSHOT, snapshots[name], digest)
    kept = (await player.run(create_backup(snapshots["saved"], name="b", store=more))).subject
    row = await player.orchestrator.catalogue.transact(lambda tx: tx.get(Backup, kept))
    player.promise(Promised.BACKUP, kept, row.content)

    for name in ("reverted", "unsure"):
        (old,) = player.promises[made[name]].contents
        await player.guest.write(made[name], label=f"{name} again")
        new = await player.guest.digest(made[name])
        player.promise(Promised.VOLUME, made[name], old, new)
    (small,) = player.promises[made["grown"]].contents
    large = await player.guest.digest(made["grown"], as_bytes=256 * KIB)
    player.promise(Promised.VOLUME, made["grown"], small, large)
    del player.promises[made["deleted"]]

    await player.unclear(
        revert_volume(made["unsure"], snapshot=snapshots["unsure"]), "revert_volume", after=False
    )
    await player.unclear(
        create_volume(name="perhaps", store=second, size_bytes=64 * KIB),
        "create_volume",
        after=True,
    )
    full = Exhausted("the store is full")
    await player.held(
        create_backup(snapshots["saved"], name="failing", store=more),
        Refused("complete_upload", full),
        Held("abort_upload", after=False),
    )
    await player.held(
        restore_backup(kept, name="failing", store=second),
        Refused("open", full),
        Held("revoke"),
    )
    await player.held(
        create_volume(name="made", store=second, size_bytes=64 * KIB), Held("create_volume")
    )
    await player.held(
        create_volume(name="asked", store=second, size_bytes=64 * KIB),
        Held("create_volume", after=False),
    )
    await player.held(resize_volume(made["grown"], size_bytes=256 * KIB), Held("resize_volume"))
    await player.held(create_snapshot(made["snapped"], name="snapped"), Held("create_snapshot"))
    await player.held(
        revert_volume(made["reverted"], snapshot=snapshots["reverted"]), Held("revert_volume")
    )
    await player.held(delete_volume(made["deleted"]), Held("delete_volume"))
    await player.held(_register(player, "half", more), Held("upload_part"))
    await player.held(maintain_store(spare), Held("maintain", after=False))


def make(name: str) -> Path:
    """Play in a child, see that it was killed, and pack what it left."""
    with tempfile.TemporaryDirectory(prefix="holdfast-upgrade-") as place:
        root = Path(place) / "zone"
        root.mkdir()
        played = subprocess.run([sys.executable, __file__, "--play", str(root)], check=False)
        assert played.returncode == -signal.SIGKILL, played
        FIXTURES.mkdir(exist_ok=True)
        packed = FIXTURES / f"{name}.tar.xz"
        pack = ["tar", "--create", "--sparse", "--sort=name", "--owner=0", "--group=0"]
        tar = subprocess.run(
            [*pack, "--numeric-owner", "-C", str(root), "."], check=True, capture_output=True
        ).stdout
        packed.write_bytes(
            subprocess.run(["xz", "-9e"], input=tar, check=True, capture_output=True).stdout
        )
    return packed


if __name__ == "__main__":
    if sys.argv[1] == "--play":
        asyncio.run(play(Path(sys.argv[2])))
    else:
        print(make(sys.argv[1]))  # noqa: T201 - the program's answer
