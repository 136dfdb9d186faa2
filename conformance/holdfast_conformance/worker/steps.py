"""One step of a plan, carried out: a driver verb, or what the harness does in its place."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from holdfast.contract import requests
from holdfast.contract.answers import ObjectData, OwnedThing, PartInfo, UrlInfo
from holdfast.contract.errors import DriverError, ErrorKind
from holdfast.contract.handles import Handle
from holdfast.contract.ports import ImageDriver, PrimaryDriver
from holdfast.contract.requests import CallContext, PartReference, Role, verb_of
from holdfast.data import BLOCK_BYTES, open_block_io
from holdfast.data.whole_objects import ObjectName, put_object
from holdfast.stores.open_store import open_life_cycle
from holdfast_conformance import byte_steps, list_steps
from holdfast_conformance import plan as plans
from holdfast_conformance.address_steps import MakeAddress
from holdfast_conformance.payload import expand
from holdfast_conformance.stamps import stamp
from holdfast_conformance.trace import (
    BlocksRead,
    BytesRead,
    Enumerated,
    HandleAnswer,
    Nonsense,
    ObjectBytes,
    Ok,
    Raised,
    Refusals,
    Reply,
)
from holdfast_conformance.worker.addresses import Addresses
from holdfast_conformance.worker.byte_ranges import ByteRanges, decoded
from holdfast_conformance.worker.containment import Failed
from holdfast_conformance.worker.fences import late_fence
from holdfast_conformance.worker.lists import Lists
from holdfast_conformance.worker.made_calls import MadeCalls
from holdfast_conformance.worker.object_handles import read_object
from holdfast_conformance.worker.opened import OpenedDrivers
from holdfast_conformance.worker.session import Session

ITEMS_MAX = 10_000
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
        self, session: Session, opened: OpenedDrivers, plan: plans.Plan, namespace: str
    ) -> None:
        self._session = session
        self._opened = opened
        self._plan = plan
        self._namespace = namespace
        self._parts: dict[str, dict[int, tuple[PartReference, bytes]]] = {}
        self._made = MadeCalls()
        self._sent: dict[tuple[str, plans.OlderPart], tuple[PartReference, bytes]] = {}
        lists = Lists(opened)
        self.handles: dict[tuple[str, str], Handle] = {}
        """The handle opened last for each volume and host."""
        self.addresses = Addresses(timeout_s=session.setup.deadline_s)
        self.moved_bytes = 0
        self.given_up: dict[str, int] = {}
        """The fence of each moment at which a call was given up, by its name."""
        self._ranges = ByteRanges(plan.id)
        self._handlers: dict[type[requests.Request], Handler] = {
            plans.WriteBlocks: self._write,
            plans.ReadBlocks: self._read_blocks,
            plans.ReadStale: self._read_stale,
            byte_steps.WriteBytes: self._write_bytes,
            byte_steps.WriteRanges: self._write_ranges,
            byte_steps.ReadBytes: self._read_bytes,
            byte_steps.DiscardBytes: self._discard_bytes,
            byte_steps.KeepHandle: self._keep_handle,
            plans.CreateFromData: self._create_from_data,
            plans.PutObject: self._put,
            plans.SendPart: self._send_part,
            plans.FinishUpload: self._finish,
            plans.InspectStore: self._inspect_store,
            plans.InitializeBad: self._initialize_bad,
            plans.Adopt: self._adopt,
            plans.WalkVolumes: lists.walk_volumes,
            list_steps.WalkSnapshots: lists.walk_snapshots,
            plans.WalkObjects: lists.walk_objects,
            list_steps.TakePage: lists.take,
            list_steps.NextPage: lists.go_on,
            plans.ProbeCall: self._probe,
            MakeAddress: self._make_address,
            requests.OpenObject: self._open_object,
            requests.TemporaryUrl: self._temporary_url,
        }

    async def perform(self, step: plans.Step, ctx: CallContext) -> Reply:
        """The step's answer. Raises whatever the driver raises."""
        if isinstance(step, plans.LateCall):
            ctx = msgspec.structs.replace(ctx, fence=late_fence(step, self.given_up))
            step = step.call
        carry_out = self._handlers.get(type(step), self._verb)
        with self._made.making(step, ctx):
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
        """All blocks behind a handle that hold something but zeroes, as far as one looks."""
        async with open_block_io(handle) as content:
            blocks = await self._ranges.data_blocks(content)
            self.moved_bytes += len(blocks) * BLOCK_BYTES
            return BlocksRead(content.size_bytes, blocks)

    async def close(self) -> None:
        """Close the handles that were kept open."""
        await self._ranges.close()

    async def _inspect_store(self, _: plans.InspectStore, ctx: CallContext) -> Reply:
        return await (await self._opened.life_cycle()).get(ctx)

    async def _adopt(self, step: plans.Adopt, ctx: CallContext) -> Reply:
        life_cycle = await self._opened.life_cycle()
        found = await life_cycle.get(ctx)
        request = requests.AdoptStore(driver_id=found.id, identity=step.identity)
        return await life_cycle.adopt(ctx, request)

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
        self._ranges.note(step.first * BLOCK_BYTES, len(data))
        self.moved_bytes += len(data)
        return Ok()

    async def _write_bytes(self, step: byte_steps.WriteBytes, ctx: CallContext) -> BytesRead:
        self.moved_bytes += 2 * step.length_bytes
        return await self._ranges.write(step, partial(self.open, ctx, step.volume, step.host))

    async def _write_ranges(self, step: byte_steps.WriteRanges, ctx: CallContext) -> Ok:
        opening = partial(self.open, ctx, step.volume, step.host)
        self.moved_bytes += await self._ranges.write_ranges(step, opening)
        return Ok()

    async def _read_bytes(self, step: byte_steps.ReadBytes, ctx: CallContext) -> BytesRead:
        self.moved_bytes += step.length_bytes
        return await self._ranges.read(step, partial(self.open, ctx, step.volume, step.host))

    async def _discard_bytes(self, step: byte_steps.DiscardBytes, ctx: CallContext) -> Ok:
        await self._ranges.discard(step, partial(self.open, ctx, step.volume, step.host))
        return Ok()

    async def _keep_handle(self, step: byte_steps.KeepHandle, ctx: CallContext) -> HandleAnswer:
        handle = await self.open(ctx, step.volume, step.host)
        await self._ranges.keep(step.handle, handle)
        return HandleAnswer(handle)

    async def _read_stale(self, step: plans.ReadStale, ctx: CallContext) -> BlocksRead:
        handle = await self._opened_last(ctx, step.volume, step.host)
        return await self.read(handle, step.first, step.count)

    async def _opened_last(self, ctx: CallContext, volume: str, host: str) -> Handle:
        handle = self.handles.get((volume, host))
        # A reduced plan may have lost the step that opened it.
        return await self.open(ctx, volume, host) if handle is None else handle

    async def _create_from_data(self, step: plans.CreateFromData, ctx: CallContext) -> Reply:
        find = self._opened_last if step.stale else self.open
        handle = await find(ctx, step.volume, step.host)
        source = requests.DataSource(handle, step.length_bytes or handle.size_bytes)
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
        request = _part(step)
        self.moved_bytes += len(request.data)
        answer = await (await self._opened.image()).upload_part(ctx, request)
        self._parts.setdefault(step.upload, {})[step.number] = (answer.part, request.data)
        as_sent = plans.OlderPart(
            number=step.number, content=step.content, size_bytes=step.size_bytes
        )
        self._sent[step.upload, as_sent] = (answer.part, request.data)
        return answer

    async def _finish(self, step: plans.FinishUpload, ctx: CallContext) -> Reply:
        request = self._made.keep(step, self._completion(step))
        return await (await self._opened.image()).complete_upload(ctx, request)

    def _completion(self, step: plans.FinishUpload) -> requests.CompleteUpload:
        """The completion of an upload from the parts as they were acknowledged last."""
        sent = self._parts.get(step.upload, {})
        older = {
            part.number: self._sent.get((step.upload, part), (_never_sent(part.number), b""))
            for part in step.older
        }
        parts = [(sent | older).get(number, (_never_sent(number), b"")) for number in step.numbers]
        in_order = sorted(parts, key=lambda part: part[0].number)
        whole = hashlib.sha256(b"".join(data for _, data in in_order))
        if step.wrong_digest:
            whole.update(b"wrong")
        size_bytes = sum(len(data) for _, data in parts) + step.size_error_bytes
        return requests.CompleteUpload(
            upload=step.upload,
            parts=tuple(reference for reference, _ in parts),
            size_bytes=max(0, size_bytes),
            sha256=whole.hexdigest(),
        )

    async def _probe(self, step: plans.ProbeCall, ctx: CallContext) -> Reply:
        """Ask under the operation of the last equal call, or under one that never made it."""
        request = self._request_of(step.call)
        driver = await self.driver()
        return await driver.probe(self._made.context(step.call, ctx), verb_of(request), request)

    def _request_of(self, call: plans.ProbedCall) -> requests.Request:
        """The request that a call makes, or made."""
        match call:
            case requests.Grant():
                return self._session.canaries.plant(call)
            case plans.SendPart():
                return _part(call)
            case plans.FinishUpload():
                return self._made.kept(call) or self._completion(call)
            case _:
                return call

    async def _open_object(self, step: requests.OpenObject, ctx: CallContext) -> HandleAnswer:
        answer = await read_object(await (await self._opened.image()).open_object(ctx, step))
        self.moved_bytes += answer.read.size_bytes if answer.read else 0
        return answer

    async def _temporary_url(self, step: requests.TemporaryUrl, ctx: CallContext) -> Reply:
        found = await (await self._opened.image()).temporary_url(ctx, step)
        return self._keep_address("", found, step.expires_s)

    async def _make_address(self, step: MakeAddress, ctx: CallContext) -> Reply:
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


async def collect(stream: AsyncIterator[OwnedThing]) -> tuple[OwnedThing, ...]:
    """Everything a stream yields, if it ends."""
    things: list[OwnedThing] = []
    async for thing in stream:
        things.append(thing)
        await asyncio.sleep(0)  # whoever walks does something with it, and others go on meanwhile
        if len(things) > ITEMS_MAX:
            raise Failed(Nonsense(f"enumerate yields more than {ITEMS_MAX} things"))
    return tuple(things)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


def _part(step: plans.SendPart) -> requests.UploadPart:
    data = expand(step.content, step.size_bytes)
    return requests.UploadPart(upload=step.upload, number=step.number, data=data)


def _never_sent(number: int) -> PartReference:
    return PartReference(number=number, size_bytes=0, tag=NEVER_SENT)
