"""What tests do with a zone: one script per workflow, and one that uses them all."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.contract.requests import Role
from holdfast.model.rows import Store
from holdfast.operations.orchestrator import Orchestrator
from holdfast.operations.workflow import Workflow
from holdfast.workflows import (
    adopt_store,
    attach_volume,
    cancel_maintenance,
    create_backup,
    create_snapshot,
    create_volume,
    create_volume_from_template,
    delete_backup,
    delete_snapshot,
    delete_template,
    delete_volume,
    detach_volume,
    maintain_store,
    register_template,
    remove_store,
    resize_volume,
    restore_backup,
    revert_volume,
)
from zones import HOST, Zone

IMAGE_BYTES = 48 << 10
KIB = 1 << 10


def write_image(folder: Path) -> Path:
    """A disk image of 48 KiB with a hole in the middle."""
    path = folder / "image.raw"
    if not path.exists():
        data = b"".join(bytes([n]) * 4096 for n in (1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 7))
        path.write_bytes(data)
    return path


class Props:
    """What a script works with: ids by name, filled as things are made."""

    def __init__(self, zone: Zone, image: Path) -> None:
        self.zone = zone
        self.image = image
        self.ids: dict[str, str] = {}

    async def run(self, orchestrator: Orchestrator, name: str, workflow: Workflow) -> None:
        """Run a workflow that must succeed, and remember its subject."""
        done = (await orchestrator.run(workflow)).expect()
        self.ids[name] = done.subject


Act = Callable[[Props], Workflow]

ACTS: tuple[tuple[str, str, Act], ...] = (
    ("primary", "add_store", lambda p: p.zone.adding("primary", Role.PRIMARY)),
    ("images", "add_store", lambda p: p.zone.adding("images", Role.IMAGE)),
    ("second", "add_store", lambda p: p.zone.adding("second", Role.PRIMARY)),
    (
        "template",
        "register_template",
        lambda p: register_template(
            name="t", store=p.ids["images"], path=str(p.image), size_bytes=IMAGE_BYTES
        ),
    ),
    (
        "empty",
        "create_volume",
        lambda p: create_volume(name="e", store=p.ids["primary"], size_bytes=10_000),
    ),
    (
        "root",
        "create_volume_from_template",
        lambda p: create_volume_from_template(
            name="r", store=p.ids["primary"], template=p.ids["template"]
        ),
    ),
    ("snapshot", "create_snapshot", lambda p: create_snapshot(p.ids["root"], name="s")),
    (
        "backup",
        "create_backup",
        lambda p: create_backup(p.ids["snapshot"], name="b", store=p.ids["images"]),
    ),
    ("grown", "resize_volume", lambda p: resize_volume(p.ids["root"], size_bytes=64 * KIB)),
    (
        "reverted",
        "revert_volume",
        lambda p: revert_volume(p.ids["root"], snapshot=p.ids["snapshot"]),
    ),
    (
        "restored",
        "restore_backup",
        lambda p: restore_backup(p.ids["backup"], name="x", store=p.ids["second"]),
    ),
    ("attached", "attach_volume", lambda p: attach_volume(p.ids["restored"], host=HOST)),
    ("detached", "detach_volume", lambda p: detach_volume(p.ids["restored"], host=HOST)),
    ("adopted", "adopt_store", lambda p: adopt_store(p.ids["second"])),
    ("maintained", "maintain_store", lambda p: maintain_store(p.ids["second"])),
    ("resumed", "cancel_maintenance", lambda p: cancel_maintenance(p.ids["second"])),
    ("gone backup", "delete_backup", lambda p: delete_backup(p.ids["backup"])),
    ("gone snapshot", "delete_snapshot", lambda p: delete_snapshot(p.ids["snapshot"])),
    ("gone volume", "delete_volume", lambda p: delete_volume(p.ids["restored"])),
    ("gone template", "delete_template", lambda p: delete_template(p.ids["template"])),
    ("gone store", "remove_store", lambda p: remove_store(p.ids["second"])),
)
"""Every workflow once, in an order in which each finds what it needs."""


def script(props: Props, acts: int = len(ACTS)) -> Callable[[Orchestrator], Awaitable[None]]:
    """The first so many acts."""

    async def play(orchestrator: Orchestrator) -> None:
        for name, _, act in ACTS[:acts]:
            await props.run(orchestrator, name, act(props))

    return play


async def contents(zone: Zone) -> dict[str, str]:
    """The digest of every volume and snapshot that the backend holds, by key."""
    found: dict[str, str] = {}
    for store in await zone.rows(Store):
        if store.role is Role.PRIMARY:
            inventory = await zone.testbed.inspector(store.role, store.name).inventory()
            found |= {thing.key: thing.digest for thing in inventory.things if thing.digest}
    return found
