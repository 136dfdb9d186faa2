"""Steps that move or check content: objects into volumes, volumes and files into objects."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.answers import Absent, Done, ObjectInfo, Partial, Undetermined, VolumeInfo
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.errors import Corrupt, Denied, NotFound
from holdfast.contract.handles import FileHandle, Handle
from holdfast.contract.requests import (
    AbortUpload,
    CreateVolume,
    DataSource,
    DeleteObject,
    DeleteVolume,
    HeadObject,
    Open,
    OpenObject,
)
from holdfast.data import BlockIO
from holdfast.data.current_plane import data_plane
from holdfast.data.digest import ContentHasher, content_digest
from holdfast.data.in_lane import open_apart, open_in_lane
from holdfast.data.whole_objects import ObjectName, put_object, read_blocks, read_object
from holdfast.model import rows
from holdfast.motion.choice import choose
from holdfast.motion.installed_mechanisms import installed_mechanisms
from holdfast.motion.mechanism import Pair, Side
from holdfast.motion.transfer import Moved, Transfer
from holdfast.operations.step_kind import Estimate, Happened, RowChange, StepContext, StepKind
from holdfast.steps.first_bytes import Window


class GrantedVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A volume by its key in a primary store, reached through a host's grant."""

    store: str
    key: str
    host: str


class ImageObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object by its key; ``size_bytes`` and ``content`` are of the raw disk."""

    store: str
    key: str
    size_bytes: int
    content: str = ""


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stored object and the content digest of what was read for it."""

    object: ObjectInfo
    content: str


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content digest that was found, which is the expected one."""

    content: str


@contextlib.asynccontextmanager
async def open_volume(step: StepContext, volume: GrantedVolume) -> AsyncIterator[BlockIO]:
    """Block access to a volume through its grant."""
    handle = await handle_of_volume(step, volume)
    async with open_in_lane(handle, step.stores.lane(volume.store)) as opened:
        yield opened


async def handle_of_volume(step: StepContext, volume: GrantedVolume) -> Handle:
    """The handle of a volume through its grant, whose secret the data plane knows from now on."""
    driver = await step.stores.primary(volume.store)
    handle = await driver.open(step.call(), Open(volume=volume.key, host=volume.host))
    plane = data_plane()
    if plane is not None:
        # The grant may be of a process that has ended, whose plane knew the secret; ours does not.
        secret = await step.stores.credential(volume.store, volume.host)
        await plane.granted(volume.host, volume.key, secret)
    return handle


async def hashed(source: AsyncIterator[bytes], hasher: ContentHasher) -> AsyncIterator[bytes]:
    """The same bytes, whose digest is made as they pass: each is read once."""
    async for data in source:
        await runtime().run_blocking(hasher.update, data)
        yield data


async def volume_content(step: StepContext, volume: GrantedVolume, size_bytes: int) -> str:
    """The content digest of a volume's first ``size_bytes``."""
    async with open_volume(step, volume) as opened:
        return await content_digest(Window(opened, size_bytes))


class FillInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Copy an object's bytes into a granted volume that is at least as large."""

    source: ImageObject
    target: GrantedVolume


class FillVolume(StepKind[FillInputs, Moved]):
    """The bytes of an object become the start of a volume; durable when done."""

    kind = "volume.fill"
    inputs = FillInputs
    result = Moved
    several_calls: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = True

    async def perform(self, step: StepContext, inputs: FillInputs) -> Moved:
        wanted = inputs.source
        image = await step.stores.image(wanted.store)
        source = await image.open_object(step.call(), OpenObject(key=wanted.key))
        target = await handle_of_volume(step, inputs.target)
        pair = Pair(
            source=Side(handle=source, name=f"object {wanted.key}", version=wanted.content),
            target=Side(handle=target, name=f"volume {inputs.target.key}"),
            length_bytes=source.size_bytes,
            digested=False,
        )
        choice = choose(pair, installed_mechanisms())
        return await Transfer(pair, choice, journal=step.journal).run()

    async def probe(
        self, step: StepContext, inputs: FillInputs
    ) -> Happened[Moved] | Absent | Partial | Undetermined:
        # Going on is harmless: nobody else has the volume, and the next step verifies it.
        del step, inputs
        return Absent()

    def describe(self, inputs: FillInputs) -> str:
        return f"fill volume {inputs.target.key} from object {inputs.source.key}"

    def estimate(self, inputs: FillInputs) -> Estimate:
        return Estimate(moved_bytes=inputs.source.size_bytes, calls=2)


class VerifyVolumeInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Read a granted volume back and compare it with the object it was made from."""

    source: ImageObject
    target: GrantedVolume


class VerifyVolume(StepKind[VerifyVolumeInputs, Checked]):
    """The volume holds what it should, read back from where it is; else ``Corrupt``."""

    kind = "volume.verify"
    inputs = VerifyVolumeInputs
    result = Checked

    async def perform(self, step: StepContext, inputs: VerifyVolumeInputs) -> Checked:
        expected = inputs.source.content
        found = await volume_content(step, inputs.target, inputs.source.size_bytes)
        return _same(found, expected, "volume", inputs.target.key)

    async def probe(
        self, step: StepContext, inputs: VerifyVolumeInputs
    ) -> Happened[Checked] | Absent | Partial | Undetermined:
        del step, inputs
        return Absent()

    def describe(self, inputs: VerifyVolumeInputs) -> str:
        return f"read volume {inputs.target.key} back and compare its digest"

    def estimate(self, inputs: VerifyVolumeInputs) -> Estimate:
        return Estimate(moved_bytes=inputs.source.size_bytes)


class CloneObjectInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Let a primary store create a volume from an object's bytes by itself."""

    source: ImageObject
    store: str
    key: str
    size_bytes: int
    row: str


class CreateFromObject(StepKind[CloneObjectInputs, VolumeInfo]):
    """A volume created from an object (Requires ``clone.from_data``)."""

    kind = "volume.create_from_object"
    inputs = CloneObjectInputs
    result = VolumeInfo

    async def _request(self, step: StepContext, inputs: CloneObjectInputs) -> CreateVolume:
        image = await step.stores.image(inputs.source.store)
        handle = await image.open_object(step.call(), OpenObject(key=inputs.source.key))
        source = DataSource(handle, inputs.source.size_bytes)
        return CreateVolume(key=inputs.key, size_bytes=inputs.size_bytes, source=source)

    async def perform(self, step: StepContext, inputs: CloneObjectInputs) -> VolumeInfo:
        driver = await step.stores.primary(inputs.store)
        return await driver.create_volume(step.call(), await self._request(step, inputs))

    async def probe(
        self, step: StepContext, inputs: CloneObjectInputs
    ) -> Happened[VolumeInfo] | Absent | Partial | Undetermined:
        driver = await step.stores.primary(inputs.store)
        request = await self._request(step, inputs)
        answer = await driver.probe(step.call(), "create_volume", request)
        if not isinstance(answer, Done):
            return answer
        if isinstance(answer.answer, VolumeInfo):
            return Happened(answer.answer)
        return Undetermined(reason="the probe of create_volume answered with no volume")

    def undoes(self, inputs: CloneObjectInputs) -> bool:
        del inputs
        return True

    async def compensate(self, step: StepContext, inputs: CloneObjectInputs) -> None:
        driver = await step.stores.primary(inputs.store)
        await driver.delete_volume(step.call(), DeleteVolume(key=inputs.key))

    def effects(self, inputs: CloneObjectInputs, result: VolumeInfo) -> tuple[RowChange, ...]:
        fields = {"driver_id": result.id, "size_bytes": result.size_bytes}
        return (RowChange(rows.Volume, inputs.row, fields),)

    def describe(self, inputs: CloneObjectInputs) -> str:
        return f"create volume {inputs.key} in store {inputs.store} from object {inputs.source.key}"

    def estimate(self, inputs: CloneObjectInputs) -> Estimate:
        return Estimate(moved_bytes=inputs.source.size_bytes, calls=2)


class SaveInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Store a file of this host, or a granted volume, as an object.

    ``row`` is the ``StoredObject``, ``owner`` the ``Backup`` that gets the content digest.
    """

    store: str
    key: str
    upload: str
    kind: ObjectKind
    size_bytes: int
    row: str
    owner: str = ""
    path: str = ""
    volume: GrantedVolume | None = None


class SaveObject(StepKind[SaveInputs, Saved]):
    """An uploaded object, visible only when size and SHA-256 were right."""

    kind = "image.save"
    inputs = SaveInputs
    result = Saved
    several_calls: ClassVar[bool] = True

    @contextlib.asynccontextmanager
    async def _source(self, step: StepContext, inputs: SaveInputs) -> AsyncIterator[BlockIO]:
        if inputs.volume is None:
            handle = FileHandle(path=inputs.path, size_bytes=inputs.size_bytes, read_only=True)
            async with open_apart(handle) as opened:
                yield opened
        else:
            async with open_volume(step, inputs.volume) as opened:
                yield Window(opened, inputs.size_bytes)

    async def perform(self, step: StepContext, inputs: SaveInputs) -> Saved:
        driver = await step.stores.image(inputs.store)
        async with self._source(step, inputs) as source:
            hasher = ContentHasher(source.size_bytes)
            stored = await put_object(
                driver,
                step.call,
                ObjectName(upload=inputs.upload, key=inputs.key, kind=inputs.kind),
                hashed(read_blocks(source), hasher),
                size_bytes=source.size_bytes,
            )
        return Saved(object=stored, content=hasher.digest())

    async def probe(
        self, step: StepContext, inputs: SaveInputs
    ) -> Happened[Saved] | Absent | Partial | Undetermined:
        driver = await step.stores.image(inputs.store)
        try:
            found = await driver.head(step.call(), HeadObject(key=inputs.key))
            async with self._source(step, inputs) as source:
                content = await content_digest(source)
        except (NotFound, Denied, Corrupt):
            # Not there, or its source is gone: saving again finds out, and is compensated.
            return Partial(names=(f"upload {inputs.upload} in store {inputs.store}",))
        # The object is visible before its upload is gone. While something is left of that, saving
        # again is what clears it: an abort would not clear what was staged for the object.
        abort = AbortUpload(upload=inputs.upload)
        ended = await driver.probe(step.call(), "abort_upload", abort)
        if isinstance(ended, Undetermined):
            return ended
        if not isinstance(ended, Done):
            return Partial(names=(f"upload {inputs.upload} in store {inputs.store}",))
        return Happened(Saved(object=found, content=content))

    def undoes(self, inputs: SaveInputs) -> bool:
        del inputs
        return True

    async def compensate(self, step: StepContext, inputs: SaveInputs) -> None:
        driver = await step.stores.image(inputs.store)
        await driver.abort_upload(step.call(), AbortUpload(upload=inputs.upload))
        await driver.delete(step.call(), DeleteObject(key=inputs.key))

    def effects(self, inputs: SaveInputs, result: Saved) -> tuple[RowChange, ...]:
        stored = result.object
        fields: dict[str, Any] = {
            "driver_id": stored.id,
            "size_bytes": stored.size_bytes,
            "sha256": stored.sha256,
        }
        changes = (RowChange(rows.StoredObject, inputs.row, fields),)
        if not inputs.owner:
            return changes
        owner = rows.Template if inputs.kind is ObjectKind.TEMPLATE else rows.Backup
        return (*changes, RowChange(owner, inputs.owner, {"content": result.content}))

    def describe(self, inputs: SaveInputs) -> str:
        source = f"volume {inputs.volume.key}" if inputs.volume else inputs.path
        return f"store {source} as object {inputs.key} in store {inputs.store}"

    def estimate(self, inputs: SaveInputs) -> Estimate:
        return Estimate(moved_bytes=inputs.size_bytes, calls=3)


class VerifyObjectInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Read an object back; ``saved_by`` is the number of the step whose result it must match."""

    store: str
    key: str
    size_bytes: int
    saved_by: int


class VerifyObject(StepKind[VerifyObjectInputs, Checked]):
    """The object holds what was saved: its SHA-256 and its content digest, read back."""

    kind = "image.verify"
    inputs = VerifyObjectInputs
    result = Checked

    async def perform(self, step: StepContext, inputs: VerifyObjectInputs) -> Checked:
        saved: Saved = step.results[inputs.saved_by]
        driver = await step.stores.image(inputs.store)
        hasher = ContentHasher(saved.object.size_bytes)
        async for _ in hashed(read_object(driver, step.call, inputs.key), hasher):
            pass  # read_object compares size and SHA-256 at the end
        return _same(hasher.digest(), saved.content, "object", inputs.key)

    async def probe(
        self, step: StepContext, inputs: VerifyObjectInputs
    ) -> Happened[Checked] | Absent | Partial | Undetermined:
        del step, inputs
        return Absent()

    def describe(self, inputs: VerifyObjectInputs) -> str:
        return f"read object {inputs.key} in store {inputs.store} back and compare its digests"

    def estimate(self, inputs: VerifyObjectInputs) -> Estimate:
        return Estimate(moved_bytes=inputs.size_bytes, calls=2)


def _same(found: str, expected: str, what: str, key: str) -> Checked:
    if found != expected:
        raise Corrupt(f"the {what} reads as digest {found}, not {expected}", object=key)
    return Checked(content=found)
