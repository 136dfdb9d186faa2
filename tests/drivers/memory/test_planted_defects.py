"""Each planted defect is real: it differs from the reference in a direct call."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode, ObjectKind
from holdfast.contract.requests import Request
from holdfast.stores.plugins import load_provider
from holdfast_drivers.memory import MemoryProvider
from memory_play import BLOCK, Play, played


def create(key: str, blocks: int = 2, source: requests.Source | None = None) -> Request:
    return requests.CreateVolume(key=key, size_bytes=blocks * BLOCK, source=source)


def grant(volume: str, host: str = "host-a", mode: AccessMode = AccessMode.EXCLUSIVE) -> Request:
    return requests.Grant(volume=volume, host=host, mode=mode, secret="canary")


async def volumes(play: Play) -> None:
    """Create, repeat, collide, delete."""
    await play.do("primary", create("v"), create("v"), grant("v"))
    await play.write("v", 0, 2)
    await play.do(
        "primary",
        create("v", 3),
        requests.GetVolume(key="v"),
        requests.DeleteVolume(key="v"),
        requests.ListVolumes(limit=1),
        create("odd/../v", 1),
        requests.CreateVolume(key="w", size_bytes=5000),
        requests.GetVolume(key="w"),
        requests.GetVolume(key="absent"),
        create("W", 4),
        requests.DeleteVolume(key="never"),
        requests.DeleteVolume(key="w"),
        requests.DeleteVolume(key="w"),
        requests.GetStats(),
        requests.ListVolumes(limit=1),
        requests.ListVolumes(),
    )
    await play.read("v")


async def sizes(play: Play) -> None:
    """Grow and shrink."""
    await play.do("primary", create("v", 3), grant("v"))
    await play.write("v", 0, 3)
    for blocks, shrink in ((5, False), (4, False), (2, True), (2, True), (3, False)):
        request = requests.ResizeVolume(key="v", size_bytes=blocks * BLOCK, shrink=shrink)
        await play.do("primary", request)
        await play.read("v")
    await play.do(
        "primary",
        create("largest", 2**28),
        requests.CreateVolume(key="huge", size_bytes=2**32 + 1),
        requests.CreateVolume(key="tiny", size_bytes=1),
    )


async def snapshots(play: Play) -> None:
    """Snapshots, clones, reverts."""
    await play.do("primary", create("v"), create("o"), grant("v"))
    await play.write("v", 0, 2)
    await play.do("primary", requests.CreateSnapshot(key="s", volume="v"))
    await play.write("v", 1, 1)
    await play.do(
        "primary",
        requests.RevertVolume(key="v", snapshot="s"),
        requests.ResizeVolume(key="v", size_bytes=4 * BLOCK),
    )
    await play.write("v", 2, 2)
    await play.do(
        "primary",
        requests.CreateSnapshot(key="s", volume="v"),
        requests.CreateSnapshot(key="s", volume="o"),
        requests.CreateSnapshot(key="t", volume="v"),
        create("small", 1, requests.SnapshotSource("t")),
        create("c", 5, requests.SnapshotSource("t")),
        grant("c"),
    )
    await play.write("c", 0, 1)
    await play.read("c")
    await play.do("primary", create("d", 4, requests.SnapshotSource("t")), grant("d"))
    await play.read("d")
    await play.write("v", 0, 1)
    await play.do("primary", requests.DeleteSnapshot(key="t"))
    await play.read("v")
    await play.do("primary", requests.Revoke(volume="v", host="host-a"))
    await play.do("primary", requests.RevertVolume(key="v", snapshot="s"), grant("v"))
    await play.read("v")
    await play.do(
        "primary",
        requests.DeleteVolume(key="o"),
        requests.DeleteSnapshot(key="s"),
        requests.DeleteSnapshot(key="s"),
        requests.ResizeVolume(key="v", size_bytes=4 * BLOCK),
        requests.CreateSnapshot(key="z", volume="v"),
    )
    await play.write("v", 3, 1)
    await play.do(
        "primary",
        requests.Revoke(volume="v", host="host-a"),
        requests.RevertVolume(key="v", snapshot="z"),
        requests.DeleteVolume(key="v"),
        requests.GetSnapshot(key="absent"),
        requests.GetStats(),
    )


async def access(play: Play) -> None:
    """Grants of every mode."""
    await play.do("primary", create("v"), create("w"), grant("v"), grant("v"))
    await play.write("v", 0, 1)
    handle = await play.read("v")
    await play.do("primary", grant("v"))
    await play.peek(handle)
    await play.do("primary", grant("v", "host-b"), grant("v", "host-b", AccessMode.SHARED))
    await play.read("v", "host-b")
    revoked = requests.Revoke(volume="v", host="host-a")
    await play.do("primary", grant("v"), revoked)
    await play.peek(handle)
    await play.do("primary", grant("w", mode=AccessMode.SHARED), grant("w", "host-b"), grant("v"))
    await play.read("w", "host-b")


async def modes(play: Play) -> None:
    """Shared and read-only grants, hosts that are not attached."""
    await play.do(
        "primary",
        create("v"),
        create("w"),
        grant("v", "host-a", AccessMode.READ_ONLY),
        grant("v", "host-b", AccessMode.SHARED),
        grant("v", "host-b", AccessMode.READ_ONLY),
        grant("w", "host-b"),
    )
    await play.write("v", 0, 1)
    await play.write("w", 0, 2, "host-b")
    await play.read("v", "host-b")
    await play.read("v")
    await play.do(
        "primary",
        requests.Revoke(volume="v", host="host-a"),
        requests.Revoke(volume="v", host="host-a"),
        grant("v", "stranger"),
    )
    await play.do("life", requests.DetachHost(host="host-b"), requests.MaintainStore())
    await play.do("primary", create("new"))
    await play.do("life", requests.MaintainStore(), requests.CancelMaintenance())
    await play.do("life", requests.InitializeStore(name="store"), requests.DeleteStore())
    await play.do("life", requests.InitializeStore(name="other"))


async def objects(play: Play) -> None:
    """Uploads, ranges, lists."""
    for number, kind in enumerate(ObjectKind):
        key = ("a/1", "a/2", "b%2F", "c")[number]
        upload = f"u{number}"
        data = bytes(range(20 * (number + 1))) if number else b""
        start = requests.StartUpload(upload=upload, key=key, kind=kind, content_type="text/plain")
        await play.do("image", start)
        parts: list[requests.PartReference] = []
        for part in range(number, 0, -1):
            piece = data[20 * (part - 1) : 20 * part] if part < number else data[20 * (part - 1) :]
            request = requests.UploadPart(upload=upload, number=part, data=piece)
            await play.do("image", request, start)
            tag = hashlib.sha256(piece).hexdigest()[:32]
            parts.append(requests.PartReference(number=part, size_bytes=len(piece), tag=tag))
        complete = requests.CompleteUpload(
            upload=upload,
            parts=tuple(parts),
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        await play.do("image", complete, complete, requests.HeadObject(key=key))
    await play.do(
        "image",
        requests.GetObject(key="c", offset_bytes=3, length_bytes=4),
        requests.GetObject(key="c", offset_bytes=-3),
        requests.GetObject(key="c", offset_bytes=1000),
        requests.GetObject(key="absent"),
        requests.HeadObject(key="absent"),
        requests.ListObjects(limit=2),
        requests.ListObjects(prefix="a/"),
        requests.ListObjects(delimiter="/"),
        requests.AbortUpload(upload="absent"),
        requests.DeleteObject(key="c"),
        requests.DeleteObject(key="c"),
        requests.GetStats(),
    )


async def put(play: Play, key: str, data: bytes, kind: ObjectKind = ObjectKind.ISO) -> None:
    """An object of one part."""
    upload, digest = f"{key} {len(data)}", hashlib.sha256(data).hexdigest()
    part = requests.PartReference(number=1, size_bytes=len(data), tag=digest[:32])
    await play.do(
        "image",
        requests.StartUpload(upload=upload, key=key, kind=kind),
        requests.UploadPart(upload=upload, number=1, data=data),
        requests.CompleteUpload(upload=upload, parts=(part,), size_bytes=len(data), sha256=digest),
    )


async def copies(play: Play) -> None:
    """Copies, what they replace, and what becomes of them."""
    await put(play, "o", b"content")
    await put(play, "taken", b"other")
    copy = requests.CopyObject(key="o", target="p")
    await play.do("image", copy, copy, requests.CopyObject(key="o", target="taken"))
    await play.do("image", requests.CopyObject(key="absent", target="q"))
    await put(play, "o", b"another")
    await play.do("image", requests.GetObject(key="p"), requests.GetObject(key="taken"))
    await play.do("image", requests.CopyObject(key="o", target="r"))
    await play.do("image", requests.DeleteObject(key="o"), requests.GetObject(key="r"))


async def addresses(play: Play) -> None:
    """Addresses of two objects, used for what they are and for what they are not."""
    await put(play, "o", b"content" * 1000)
    await put(play, "p", b"other")
    await put(play, "\u00e9", b"odd")
    first, other = await play.address("o"), await play.address("p")
    await play.address("\u00e9")
    await play.address("absent")
    await play.fetch(first)
    await play.fetch(first._replace(path=other.path))
    await play.address("o")
    await play.fetch(first)
    await play.fetch(first, "DELETE")
    await play.do("image", requests.DeleteObject(key="o"))
    await play.fetch(first)


SAMPLE: dict[Callable[[Play], Awaitable[None]], str] = {
    volumes: """
        list-misses-the-last-volume list-ends-after-the-first-page id-is-new-in-every-answer
        create-again-makes-another-volume create-again-is-a-conflict rounds-down
        deletes-and-recreates-on-conflict answers-with-whatever-has-the-key
        conflict-resizes-the-volume second-delete-fails deletes-a-granted-volume
        refused-delete-revokes deleted-volume-leaves-its-bytes reports-the-size-asked-for
        delete-of-never-created-leaves-a-tombstone delete-of-never-created-takes-the-next
        takes-gibibytes-for-gigabytes volume-keys-are-folded-to-lower-case
        volume-keys-leave-the-namespace total-falls-to-zero deleted-volumes-stay-allocated
        grant-id-holds-the-secret new-volume-cannot-be-read absent-volume-is-a-key-error
        errors-name-another-object
    """,
    sizes: """
        grow-is-only-reported grow-reports-the-old-size grows-half-way shrinks-without-being-asked
        shrink-loses-the-prefix same-size-is-refused sizes-have-thirty-two-bits
        the-largest-size-is-refused one-byte-breaks-the-arithmetic grow-loses-the-last-block
        grow-repeats-the-last-block writes-are-misdirected shrink-again-shrinks-more
    """,
    snapshots: """
        declares-revert-and-refuses-it snapshot-is-empty snapshot-misses-the-last-block
        snapshot-is-the-last-one snapshot-aliases-the-volume resize-changes-the-snapshots
        snapshot-again-is-taken-again snapshot-of-another-volume-is-answered
        snapshot-again-is-a-conflict deleted-snapshot-stays delete-takes-siblings-along
        deleting-a-snapshot-reverts-the-volume delete-takes-snapshots-along
        delete-orphans-snapshots revert-keeps-the-size revert-loses-the-last-block
        revert-only-adds-blocks reverts-a-granted-volume clone-aliases-its-source clone-is-empty
        clone-misses-the-last-block clone-keeps-the-size-of-its-source clone-only-reports-its-size
        refused-clone-leaves-a-volume second-delete-of-a-snapshot-fails errors-have-no-words
        allocated-goes-negative
    """,
    access: """
        grants-are-counted grant-again-makes-another-grant exclusive-is-not-enforced
        exclusive-steals-the-volume only-exclusive-excludes one-grant-opens-to-every-host
        handle-survives-revoke revoke-leaves-the-grant regrant-loses-the-data
    """,
    modes: """
        grant-gives-nothing revoke-takes-all-hosts revoke-of-absent-fails read-only-is-a-convention
        read-only-becomes-shared grants-to-unknown-hosts grant-attaches-the-host
        refused-grant-leaves-a-grant handle-reads-another-volume later-hosts-are-not-attached
        detaches-a-granted-host refused-detach-detaches maintenance-still-allocates
        maintenance-is-only-reported maintenance-revokes-grants cancel-leaves-maintenance-on
        deletes-a-store-that-is-in-use refuses-to-delete-and-empties-the-store
        initialize-again-makes-another-store initialize-renames-the-store
        maintain-again-ends-maintenance new-volumes-share-their-bytes
    """,
    objects: """
        content-type-is-lost empty-object-has-no-checksum last-byte-is-lost
        range-ends-one-byte-late range-starts-one-byte-late suffix-counts-from-the-start
        range-past-the-end-is-empty parts-are-joined-in-arrival-order delete-leaves-the-segments
        second-delete-of-an-object-fails absent-object-is-empty list-of-objects-misses-the-last
        list-of-objects-has-one-page list-ignores-the-prefix list-folds-nothing
        listed-keys-are-decoded volumes-become-templates snapshots-cannot-be-stored
        complete-again-fails start-again-drops-the-parts abort-again-fails
        absent-object-is-an-attribute-error
    """,
    copies: """
        copy-loses-its-last-byte copy-is-a-template copy-shares-its-bytes copy-follows-its-source
        copy-overwrites-the-target copy-of-the-absent-is-empty copy-again-fails
    """,
    addresses: """
        address-opens-every-object address-deletes-its-object address-gives-deleted-objects
        address-ends-at-a-thousand-bytes second-address-ends-the-first address-is-empty
        absent-object-has-an-address address-has-no-server
    """,
}
SAMPLES = [(name, plot) for plot, names in SAMPLE.items() for name in names.split()]


@pytest.mark.parametrize(("name", "plot"), SAMPLES, ids=[name for name, _ in SAMPLES])
def test_the_defect_is_real(name: str, plot: Callable[[Play], Awaitable[None]]) -> None:
    """The mutant answers or leaves something else than the driver it was made from."""
    clean = asyncio.run(played(MemoryProvider(), plot))

    assert asyncio.run(played(MemoryProvider(), plot)) == clean
    assert asyncio.run(played(load_provider(f"mutant:{name}"), plot)) != clean
