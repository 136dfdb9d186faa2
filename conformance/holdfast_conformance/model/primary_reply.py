"""What is wrong with the answers of a primary store, and with what its hosts read."""

from collections.abc import Iterable, Iterator, Mapping

from holdfast.capabilities import AccessMode
from holdfast.infos import (
    Gone,
    GrantInfo,
    HealthInfo,
    HealthState,
    OwnedKind,
    PoolList,
    SnapshotInfo,
    SnapshotPage,
    StatsInfo,
    VolumeInfo,
    VolumePage,
)
from holdfast.requests import (
    CheckHealth,
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    EnumerateOwned,
    GetSnapshot,
    GetStats,
    GetVolume,
    Grant,
    ListPools,
    ListSnapshots,
    ListVolumes,
    ModifyVolume,
    Open,
    ResizeVolume,
    RevertVolume,
    Revoke,
)
from holdfast_conformance.model.content import Stamped
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    store_reply_differences,
    wrong_type,
)
from holdfast_conformance.model.primary_state import PrimaryState, SourceKind, VolumeModel
from holdfast_conformance.plan import (
    CreateFromData,
    HealFault,
    InjectFault,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    WalkVolumes,
    WriteBlocks,
)
from holdfast_conformance.trace import (
    BlockRead,
    BlocksRead,
    Enumerated,
    HandleAnswer,
    Observed,
    Ok,
    Reply,
    Walked,
)

_ANSWERS: Mapping[type, type] = {
    CreateVolume: VolumeInfo,
    CreateFromData: VolumeInfo,
    GetVolume: VolumeInfo,
    ResizeVolume: VolumeInfo,
    ModifyVolume: VolumeInfo,
    RevertVolume: VolumeInfo,
    CopyVolume: VolumeInfo,
    DeleteVolume: Gone,
    CreateSnapshot: SnapshotInfo,
    GetSnapshot: SnapshotInfo,
    DeleteSnapshot: Gone,
    ListVolumes: VolumePage,
    ListSnapshots: SnapshotPage,
    WalkVolumes: Walked,
    Grant: GrantInfo,
    Revoke: Gone,
    Open: HandleAnswer,
    ReadBlocks: BlocksRead,
    ReadStale: BlocksRead,
    WriteBlocks: Ok,
    ListPools: PoolList,
    GetStats: StatsInfo,
    CheckHealth: HealthInfo,
    EnumerateOwned: Enumerated,
    Reopen: Ok,
    InjectFault: Ok,
    HealFault: Ok,
}


def differences(  # noqa: C901 - one arm per type of answer
    before: PrimaryState, after: PrimaryState, step: Step, reply: Reply
) -> Iterator[Difference]:
    """What is wrong with the reply to a successful step; ``after`` is the state it left."""
    if isinstance(step, LIFE_CYCLE_STEPS):
        yield from store_reply_differences(after.store, step, reply)
        return
    if type(reply) is not _ANSWERS[type(step)]:
        yield wrong_type(_ANSWERS[type(step)].__name__, reply)
        return
    match reply:
        case VolumeInfo():
            yield from _volume(after, reply, step.target if isinstance(step, CopyVolume) else "")
        case SnapshotInfo():
            yield from _snapshot(after, reply)
        case VolumePage() | SnapshotPage():
            yield from _page(after, step, reply)
        case Walked():
            yield from _walk(after, step, reply)
        case GrantInfo():
            yield from _grant(step, reply)
        case HandleAnswer():
            yield from _handle(after, step, reply)
        case BlocksRead():
            yield from _blocks_of_step(after, step, reply)
        case HealthInfo():
            yield from _health(before, reply)
        case Enumerated():
            yield from _enumerated(after, reply)
        case _:
            return


def handle_differences(state: PrimaryState, observed: Observed) -> Iterator[Difference]:
    """What is wrong with what the hosts read of the volumes that are granted to them."""
    for volume, host, found in observed.blocks:
        model = state.volumes.get(volume)
        if model is None or (volume, host) not in state.grants:
            continue
        yield from _compare_blocks(volume, model, found, _present(model), Where.HANDLE)
    for volume, host, cause in observed.unreadable:
        if volume in state.volumes and (volume, host) in state.grants:
            yield Difference(
                Where.HANDLE, OwnedKind.VOLUME, volume, Aspect.MISSING, f"readable by {host}", cause
            )


def _reply(kind: OwnedKind, key: str, aspect: Aspect, expected: str, seen: str) -> Difference:
    return Difference(Where.REPLY, kind, key, aspect, expected, seen)


def _volume(state: PrimaryState, reply: VolumeInfo, target: str = "") -> Iterator[Difference]:
    key = target or reply.key
    model = state.volumes.get(key)
    if model is None:
        yield _reply(OwnedKind.VOLUME, key, Aspect.EXTRA, "absent", "present")
        return
    if reply.key != key:
        yield _reply(OwnedKind.VOLUME, key, Aspect.KEY, key, reply.key)
    if reply.size_bytes != model.size_bytes:
        size = str(reply.size_bytes)
        yield _reply(OwnedKind.VOLUME, key, Aspect.SIZE, str(model.size_bytes), size)
    known = model.origin.kind is not SourceKind.DATA
    if known and reply.source != model.origin.key:
        yield _reply(OwnedKind.VOLUME, key, Aspect.SOURCE, model.origin.key, reply.source)


def _snapshot(state: PrimaryState, reply: SnapshotInfo) -> Iterator[Difference]:
    model = state.snapshots.get(reply.key)
    if model is None:
        yield _reply(OwnedKind.SNAPSHOT, reply.key, Aspect.EXTRA, "absent", "present")
        return
    if reply.size_bytes != model.size_bytes:
        size = str(reply.size_bytes)
        yield _reply(OwnedKind.SNAPSHOT, reply.key, Aspect.SIZE, str(model.size_bytes), size)
    if reply.volume != model.volume:
        yield _reply(OwnedKind.SNAPSHOT, reply.key, Aspect.SOURCE, model.volume, reply.volume)


def _ordered(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


def _page(
    state: PrimaryState, step: Step, reply: VolumePage | SnapshotPage
) -> Iterator[Difference]:
    if isinstance(step, ListVolumes) and isinstance(reply, VolumePage):
        kind, limit, wanted = OwnedKind.VOLUME, step.limit, _ordered(state.volumes)
        for volume in reply.items:
            yield from _volume(state, volume)
    elif isinstance(step, ListSnapshots) and isinstance(reply, SnapshotPage):
        kind, limit = OwnedKind.SNAPSHOT, step.limit
        wanted = _ordered(
            key for key, snapshot in state.snapshots.items() if step.volume in ("", snapshot.volume)
        )
        for snapshot in reply.items:
            yield from _snapshot(state, snapshot)
    else:
        return
    keys = [item.key for item in reply.items]
    if keys != wanted[: len(keys)] or len(keys) > limit:
        yield _reply(kind, "", Aspect.ORDER, _named(wanted[:limit]), _named(keys))
    elif len(keys) < len(wanted) and not reply.token:
        yield _reply(kind, wanted[len(keys)], Aspect.MISSING, _named(wanted), _named(keys))


def _walk(state: PrimaryState, step: Step, reply: Walked) -> Iterator[Difference]:
    wanted = _ordered(state.volumes)
    found = [key for page in reply.pages for key in page]
    if found != wanted:
        yield _reply(OwnedKind.VOLUME, "", Aspect.ORDER, _named(wanted), _named(found))
    limit = step.limit if isinstance(step, WalkVolumes) else 0
    longest = max((len(page) for page in reply.pages), default=0)
    if longest > limit:
        yield _reply(OwnedKind.VOLUME, "", Aspect.SIZE, f"pages of {limit}", f"one of {longest}")


def _named(keys: list[str]) -> str:
    return ", ".join(map(repr, keys)) or "nothing"


def _grant(step: Step, reply: GrantInfo) -> Iterator[Difference]:
    if not isinstance(step, Grant):
        return
    wanted = f"{step.volume}|{step.host}|{step.mode.value}"
    found = f"{reply.volume}|{reply.host}|{reply.mode.value}"
    if wanted != found:
        yield _reply(OwnedKind.GRANT, wanted, Aspect.DETAIL, wanted, found)


def _handle(state: PrimaryState, step: Step, reply: HandleAnswer) -> Iterator[Difference]:
    if not isinstance(step, Open):
        return
    model = state.volumes[step.volume]
    size_bytes = reply.handle.size_bytes
    if size_bytes != model.size_bytes:
        wanted, found = str(model.size_bytes), str(size_bytes)
        yield _reply(OwnedKind.VOLUME, step.volume, Aspect.SIZE, wanted, found)
    read_only = state.grants[step.volume, step.host].mode is AccessMode.READ_ONLY
    if getattr(reply.handle, "read_only", read_only) != read_only:
        wanted = "read-only" if read_only else "writable"
        yield _reply(OwnedKind.VOLUME, step.volume, Aspect.DETAIL, wanted, f"not {wanted}")


def _blocks_of_step(state: PrimaryState, step: Step, reply: BlocksRead) -> Iterator[Difference]:
    if not isinstance(step, (ReadBlocks, ReadStale)):
        return
    model = state.volumes[step.volume]
    asked = range(step.first, step.first + step.count)
    wanted = {number: model.content.at(number) for number in asked}
    yield from _compare_blocks(step.volume, model, reply, wanted, Where.REPLY)


def _present(model: VolumeModel) -> Mapping[int, Stamped | None]:
    return model.content.blocks


def _compare_blocks(
    volume: str,
    model: VolumeModel,
    found: BlocksRead,
    wanted: Mapping[int, Stamped | None],
    where: Where,
) -> Iterator[Difference]:
    """Compare blocks; one that was not reported counts as zeroes."""
    if found.size_bytes != model.size_bytes:
        sizes = str(model.size_bytes), str(found.size_bytes)
        yield Difference(where, OwnedKind.VOLUME, volume, Aspect.SIZE, *sizes)
    seen = {block.number: block for block in found.blocks}
    for number in sorted({*wanted, *seen}):
        right = _described(number, wanted.get(number))
        block = seen.get(number, BlockRead(number, "zero"))
        observed = _described_block(block)
        if right != observed:
            yield Difference(
                where, OwnedKind.VOLUME, volume, Aspect.BLOCK, right, f"{observed} ({number})"
            )


def _described(number: int, stamped: Stamped | None) -> str:
    if stamped is None:
        return "zero"
    return f"block {number} of {stamped[0]!r}, generation {stamped[1]}"


def _described_block(block: BlockRead) -> str:
    if block.state != "stamp":
        return block.state
    return f"block {block.stamped_number} of {block.volume!r}, generation {block.generation}"


def _health(before: PrimaryState, reply: HealthInfo) -> Iterator[Difference]:
    right = HealthState.DOWN if before.down else HealthState.UP
    if reply.state is not right:
        yield _reply(OwnedKind.STORE, "", Aspect.STATE, right.value, reply.state.value)
    elif before.down and not reply.dependency:
        yield _reply(OwnedKind.STORE, "", Aspect.DETAIL, "the dependency that failed", "no name")


def _enumerated(state: PrimaryState, reply: Enumerated) -> Iterator[Difference]:
    wanted = {(OwnedKind.VOLUME, key) for key in state.volumes}
    wanted |= {(OwnedKind.SNAPSHOT, key) for key in state.snapshots}
    followed = {
        OwnedKind.VOLUME,
        OwnedKind.SNAPSHOT,
        OwnedKind.TEMPORARY,
        OwnedKind.UNREADABLE,
    }
    found = [(thing.kind, thing.key) for thing in reply.things if thing.kind in followed]
    for kind, key in found:
        if (kind, key) not in wanted:
            yield _reply(kind, key, Aspect.EXTRA, "absent", "present")
    for kind, key in wanted:
        if (kind, key) not in found:
            yield _reply(kind, key, Aspect.MISSING, "present", "absent")
    if len(found) != len(set(found)):
        yield _reply(OwnedKind.VOLUME, "", Aspect.DUPLICATE, "each once", "one several times")
    for thing in reply.things:
        if thing.unfinished:
            yield _reply(thing.kind, thing.key, Aspect.UNFINISHED, "finished", "unfinished")
