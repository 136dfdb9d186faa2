"""One step of a plan, carried out: a driver verb, or what the harness does in its place."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from holdfast import requests
from holdfast.data import BLOCK_BYTES, BlockIO, open_block_io
from holdfast.data.put import ObjectName, put_object
from holdfast.errors import DriverError, ErrorKind
from holdfast.handles import Handle
from holdfast.infos import ObjectData, OwnedThing, PartInfo, UrlInfo
from holdfast.opening import open_life_cycle
from holdfast.ports import ImageDriver, PrimaryDriver
from holdfast.requests import CallContext, PartReference, Role, verb_of
from holdfast_conformance import plan as plans
from holdfast_conformance.payload import expand
from holdfast_conformance.stamps import decode, stamp
from holdfast_conformance.trace import (
    BlockRead,
    BlocksRead,
    Enumerated,
    HandleAnswer,
    Nonsense,
    ObjectBytes,
    Ok,
    Raised,
    Refusals,
    Reply,
    Walked,
)
from holdfast_conformance.worker.addresses import Addresses
from holdfast_conformance.worker.containment import Failed
from holdfast_conformance.worker.object_handles import read_object
from holdfast_conformance.worker.opened import OpenedStore
from holdfast_conformance.worker.session import Session

ITEMS_MAX = 10_000
PAGES_MAX = 10_000
READ_BLOCKS_MAX = 1 << 16
"""More than any plan leaves in a volume: what gives more without an end is not read."""
_READ_BLOCKS = 256
NEVER_SENT = "never-sent"
_LIFE_CYCLE = (
    requests.InitializeStore,
    requests.AttachHost,
    requests.DetachHost,
    requests.MaintainStore,
    requests.CancelMaintenance,
    requests.DeleteStore,
)


Handler = Callable[[Any, CallContext], Awaitable[Reply]]
"""Carries out one kind of step; ``Any``, since each takes only its own kind."""


class Steps:
    """Carries out the steps of one plan; keeps what later steps refer to.

    Args:
        session: the provider and its testbed.
        opened: the store of this plan.
        plan: whose steps these are; its id is in every stamp.
        namespace: where the plan runs.
    """

    def __init__(
        self, session: Session, opened: OpenedStore, plan: plans.Plan, namespace: str
    ) -> None:
        self._session = session
        self._opened = opened
        self._plan = plan
        self._namespace = namespace
        self._parts: dict[str, dict[int, tuple[PartReference, bytes]]] = {}
        self.handles: dict[tuple[str, str], Handle] = {}
        """The handle opened last for each volume and host."""
        self.addresses = Addresses(timeout_s=session.setup.deadline_s)
        self.moved_bytes = 0
        self._handlers: dict[type[requests.Request], Handler] = {
            plans.WriteBlocks: self._write,
            plans.ReadBlocks: self._read_blocks,
            plans.ReadStale: self._read_stale,
            plans.CreateFromData: self._create_from_data,
            plans.PutObject: self._put,
            plans.SendPart: self._send_part,
            plans.FinishUpload: self._finish,
            plans.InspectStore: self._inspect_store,
            plans.InitializeBad: self._initialize_bad,
            plans.WalkVolumes: self._walk_volumes,
            plans.WalkObjects: self._walk_objects,
            plans.MakeAddress: self._make_address,
            requests.OpenObject: self._open_object,
            requests.TemporaryUrl: self._temporary_url,
        }

    async def perform(self, step: plans.Step, ctx: CallContext) -> Reply:
        """The step's answer. Raises whatever the driver raises."""
        carry_out = self._handlers.get(type(step), self._verb)
        return await carry_out(step, ctx)

    async def _verb(self, step: requests.Request, ctx: CallContext) -> Reply:
        if isinstance(step, requests.Grant):
            step = self._session.canaries.plant(step)
        if isinstance(step, _LIFE_CYCLE):
            life_cycle = await self._opened.life_cycle()
            answer: Reply = await getattr(life_cycle, verb_of(step))(ctx, step)
            return answer
        driver = await self.driver()
        if isinstance(step, requests.EnumerateOwned):
            return Enumerated(await collect(driver.enumerate(ctx, step)))
        if isinstance(step, requests.UploadPart):
            self.moved_bytes += len(step.data)
        found = await getattr(driver, verb_of(step))(ctx, step)
        if isinstance(step, requests.Grant):
            await self._session.hosts.granted(step)
        if isinstance(step, requests.Revoke):
            await self._session.hosts.revoked(step, await self._opened.primary())
        if isinstance(step, requests.Open):
            self.handles[step.volume, step.host] = found
            return HandleAnswer(found)
        if isinstance(found, ObjectData):
            self.moved_bytes += len(found.data)
            return ObjectBytes(
                msgspec.structs.replace(found, data=b""),
                len(found.data),
                hashlib.sha256(found.data).hexdigest(),
            )
        reply: Reply = found
        return reply

    async def driver(self) -> PrimaryDriver | ImageDriver:
        """The driver of the plan's role."""
        if self._plan.role is Role.PRIMARY:
            return await self._opened.primary()
        return await self._opened.image()

    async def open(self, ctx: CallContext, volume: str, host: str) -> Handle:
        """The handle of a granted volume, kept as the last one for this volume and host."""
        driver = await self._opened.primary()
        handle = await driver.open(ctx, requests.Open(volume=volume, host=host))
        self.handles[volume, host] = handle
        return handle

    async def read(self, handle: Handle, first: int, count: int) -> BlocksRead:
        """Blocks behind a handle, decoded."""
        async with open_block_io(handle) as content:
            data = await content.read_at(first * BLOCK_BYTES, count * BLOCK_BYTES)
            self.moved_bytes += len(data)
            return BlocksRead(content.size_bytes, decoded(data, first, self._plan.id))

    async def read_all(self, handle: Handle) -> BlocksRead:
        """All blocks behind a handle that hold something but zeroes."""
        async with open_block_io(handle) as content:
            blocks = [block async for block in _data_blocks(content, self._plan.id)]
            self.moved_bytes += sum(BLOCK_BYTES for _ in blocks)
            return BlocksRead(content.size_bytes, tuple(blocks))

    async def _inspect_store(self, _: plans.InspectStore, ctx: CallContext) -> Reply:
        return await (await self._opened.life_cycle()).get(ctx)

    async def _read_blocks(self, step: plans.ReadBlocks, ctx: CallContext) -> BlocksRead:
        handle = await self.open(ctx, step.volume, step.host)
        return await self.read(handle, step.first, step.count)

    async def _write(self, step: plans.WriteBlocks, ctx: CallContext) -> Ok:
        handle = await self.open(ctx, step.volume, step.host)
        data = b"".join(
            stamp(self._plan.id, step.volume, number, step.generation)
            for number in range(step.first, step.first + step.count)
        )
        async with open_block_io(handle) as content:
            await content.write_at(step.first * BLOCK_BYTES, data)
            await content.flush()
        self.moved_bytes += len(data)
        return Ok()

    async def _read_stale(self, step: plans.ReadStale, ctx: CallContext) -> BlocksRead:
        handle = self.handles.get((step.volume, step.host))
        if handle is None:
            # A reduced plan may have lost the step that opened it.
            handle = await self.open(ctx, step.volume, step.host)
        return await self.read(handle, step.first, step.count)

    async def _create_from_data(self, step: plans.CreateFromData, ctx: CallContext) -> Reply:
        handle = await self.open(ctx, step.volume, step.host)
        source = requests.DataSource(handle, handle.size_bytes)
        request = requests.CreateVolume(key=step.key, size_bytes=step.size_bytes, source=source)
        return await (await self._opened.primary()).create_volume(ctx, request)

    async def _put(self, step: plans.PutObject, ctx: CallContext) -> Reply:
        name = ObjectName(
            upload=step.upload, key=step.key, kind=step.kind, content_type=step.content_type
        )
        self.moved_bytes += step.size_bytes
        return await put_object(
            await self._opened.image(),
            lambda: ctx,
            name,
            _once(expand(step.content, step.size_bytes)),
            size_bytes=step.size_bytes,
        )

    async def _send_part(self, step: plans.SendPart, ctx: CallContext) -> PartInfo:
        data = expand(step.content, step.size_bytes)
        request = requests.UploadPart(upload=step.upload, number=step.number, data=data)
        self.moved_bytes += len(data)
        answer = await (await self._opened.image()).upload_part(ctx, request)
        self._parts.setdefault(step.upload, {})[step.number] = (answer.part, data)
        return answer

    async def _finish(self, step: plans.FinishUpload, ctx: CallContext) -> Reply:
        sent = self._parts.get(step.upload, {})
        parts = [sent.get(number, (_never_sent(number), b"")) for number in step.numbers]
        in_order = sorted(parts, key=lambda part: part[0].number)
        whole = hashlib.sha256(b"".join(data for _, data in in_order))
        if step.wrong_digest:
            whole.update(b"wrong")
        size_bytes = sum(len(data) for _, data in parts) + step.size_error_bytes
        request = requests.CompleteUpload(
            upload=step.upload,
            parts=tuple(reference for reference, _ in parts),
            size_bytes=max(0, size_bytes),
            sha256=whole.hexdigest(),
        )
        return await (await self._opened.image()).complete_upload(ctx, request)

    async def _open_object(self, step: requests.OpenObject, ctx: CallContext) -> HandleAnswer:
        answer = await read_object(await (await self._opened.image()).open_object(ctx, step))
        self.moved_bytes += answer.read.size_bytes if answer.read else 0
        return answer

    async def _temporary_url(self, step: requests.TemporaryUrl, ctx: CallContext) -> Reply:
        found = await (await self._opened.image()).temporary_url(ctx, step)
        return self._keep_address("", found, step.expires_s)

    async def _make_address(self, step: plans.MakeAddress, ctx: CallContext) -> Reply:
        request = requests.TemporaryUrl(key=step.key, expires_s=step.expires_s)
        found = await (await self._opened.image()).temporary_url(ctx, request)
        return self._keep_address(step.address, found, step.expires_s)

    def _keep_address(self, name: str, found: UrlInfo, expires_s: float) -> Reply:
        """Keep an address, which nobody may see from now on."""
        answer = self.addresses.keep(name, found.url, expires_s)
        if not answer.problem:
            self._session.canaries.know([found.url])
        return answer

    async def _initialize_bad(self, _: plans.InitializeBad, ctx: CallContext) -> Refusals:
        session = self._session
        rows: list[tuple[str, str, tuple[ErrorKind, ...]]] = []
        for bad in session.bad_configs(self._plan.role, self._namespace):
            request = requests.InitializeStore(name=self._plan.store)
            try:
                context = open_life_cycle(session.provider, bad.config, self._plan.role)
                async with context as life_cycle:
                    await life_cycle.initialize(ctx, request)
                got = "ok"
            except DriverError as problem:
                outcome = session.containment.outcome_of(problem)
                got = outcome.kind.value if isinstance(outcome, Raised) else outcome.what
            rows.append((bad.name, got, bad.expected))
        return Refusals(tuple(rows))

    async def _walk_volumes(self, step: plans.WalkVolumes, ctx: CallContext) -> Walked:
        driver = await self._opened.primary()
        pages: list[tuple[str, ...]] = []
        items = 0
        token = ""
        while True:
            request = requests.ListVolumes(token=token, limit=step.limit)
            page = await driver.list_volumes(ctx, request)
            pages.append(tuple(item.key for item in page.items))
            token = page.token
            items += len(page.items)
            _check_end("list_volumes", len(pages), items)
            if not token:
                return Walked(tuple(pages))

    async def _walk_objects(self, step: plans.WalkObjects, ctx: CallContext) -> Walked:
        driver = await self._opened.image()
        pages: list[tuple[str, ...]] = []
        prefixes: list[tuple[str, ...]] = []
        items = 0
        token = ""
        while True:
            request = requests.ListObjects(
                prefix=step.prefix, delimiter=step.delimiter, token=token, limit=step.limit
            )
            page = await driver.list(ctx, request)
            pages.append(tuple(item.key for item in page.items))
            prefixes.append(page.prefixes)
            token = page.token
            items += len(page.items) + len(page.prefixes)
            _check_end("list", len(pages), items)
            if not token:
                return Walked(tuple(pages), tuple(prefixes))


async def collect(stream: AsyncIterator[OwnedThing]) -> tuple[OwnedThing, ...]:
    """Everything a stream yields, if it ends."""
    things: list[OwnedThing] = []
    async for thing in stream:
        things.append(thing)
        if len(things) > ITEMS_MAX:
            raise Failed(Nonsense(f"enumerate yields more than {ITEMS_MAX} things"))
    return tuple(things)


def decoded(data: bytes, first: int, run: str) -> tuple[BlockRead, ...]:
    """The blocks in what was read from block ``first`` on."""
    return tuple(
        decode(data[start : start + BLOCK_BYTES], first + start // BLOCK_BYTES, run)
        for start in range(0, len(data), BLOCK_BYTES)
    )


async def _data_blocks(content: BlockIO, run: str) -> AsyncIterator[BlockRead]:
    """The blocks that hold something but zeroes, each once, in ascending order."""
    after = read = 0
    for extent in await content.extents():
        first = max(after, extent.offset_bytes // BLOCK_BYTES)
        end_bytes = min(extent.offset_bytes + extent.length_bytes, content.size_bytes)
        after = max(after, -(-end_bytes // BLOCK_BYTES))
        for start in range(first, after, _READ_BLOCKS):
            count = min(_READ_BLOCKS, after - start)
            length = min(count * BLOCK_BYTES, content.size_bytes - start * BLOCK_BYTES)
            data = await content.read_at(start * BLOCK_BYTES, length)
            read += count
            if read > READ_BLOCKS_MAX:
                raise Failed(Nonsense(f"the handle gives data without an end, {read} blocks of it"))
            for block in decoded(data, start, run):
                if block.state != "zero":
                    yield block


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


def _never_sent(number: int) -> PartReference:
    return PartReference(number=number, size_bytes=0, tag=NEVER_SENT)


def _check_end(verb: str, pages: int, items: int) -> None:
    """A list that hands out tokens or items for ever is no answer."""
    if pages >= PAGES_MAX:
        raise Failed(Nonsense(f"{verb} does not end after {pages} pages"))
    if items > ITEMS_MAX:
        raise Failed(Nonsense(f"{verb} does not end after {items} items"))
