"""What is wrong with the answers of a primary store."""

from collections.abc import Iterable, Iterator, Mapping

from holdfast.contract.answers import (
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
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.requests import (
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
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.list_steps import WalkSnapshots
from holdfast_conformance.model import read_content
from holdfast_conformance.model.difference import Aspect, Difference, Where
from holdfast_conformance.model.expected_store import is_another
from holdfast_conformance.model.life_cycle import (
    LIFE_CYCLE_STEPS,
    store_reply_differences,
    wrong_type,
)
from holdfast_conformance.model.primary_state import PrimaryState, SourceKind
from holdfast_conformance.plan import (
    CreateFromData,
    GiveUp,
    HealFault,
    InjectFault,
    ReadBlocks,
    ReadStale,
    Reopen,
    Step,
    UseDriver,
    UseStore,
    Wait,
    WalkVolumes,
    WriteBlocks,
)
from holdfast_conformance.trace import (
    BlocksRead,
    BytesRead,
    Enumerated,
    HandleAnswer,
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
    WalkSnapshots: Walked,
    Grant: GrantInfo,
    Revoke: Gone,
    Open: HandleAnswer,
    ReadBlocks: BlocksRead,
    ReadStale: BlocksRead,
    WriteBytes: BytesRead,
    WriteRanges: Ok,
    ReadBytes: BytesRead,
    DiscardBytes: Ok,
    KeepHandle: HandleAnswer,
    WriteBlocks: Ok,
    ListPools: PoolList,
    GetStats: StatsInfo,
    CheckHealth: HealthInfo,
    EnumerateOwned: Enumerated,
    Reopen: Ok,
    UseDriver: Ok,
    UseStore: Ok,
    Wait: Ok,
    GiveUp: Ok,
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
            yield from read_content.of_step(after, step, reply)
        case BytesRead():
            yield from read_content.of_range(after, step, reply)
        case HealthInfo():
            yield from _health(before, reply)
        case _:
            return


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
    if model.qos is not None and reply.qos != model.qos:
        yield _reply(OwnedKind.VOLUME, key, Aspect.LIMITS, str(model.qos), str(reply.qos))


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


def snapshots_in(state: PrimaryState, volume: str) -> tuple[str, ...]:
    """The snapshots that a list shows: those of all volumes, or of one of this key."""
    named = state.snapshots.items()
    return tuple(key for key, snapshot in named if volume in ("", snapshot.volume))


def item_differences(state: PrimaryState, item: VolumeInfo | SnapshotInfo) -> Iterator[Difference]:
    """What is wrong with one item of a list."""
    if isinstance(item, VolumeInfo):
        return _volume(state, item)
    return _snapshot(state, item)


def _ordered(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


def _page(
    state: PrimaryState, step: Step, reply: VolumePage | SnapshotPage
) -> Iterator[Difference]:
    if isinstance(step, ListVolumes) and isinstance(reply, VolumePage):
        kind, limit, expected = OwnedKind.VOLUME, step.limit, _ordered(state.volumes)
        for volume in reply.items:
            yield from _volume(state, volume)
    elif isinstance(step, ListSnapshots) and isinstance(reply, SnapshotPage):
        kind, limit = OwnedKind.SNAPSHOT, step.limit
        expected = _ordered(snapshots_in(state, step.volume))
        for snapshot in reply.items:
            yield from _snapshot(state, snapshot)
    else:
        return
    keys = [item.key for item in reply.items]
    if keys != expected[: len(keys)] or len(keys) > limit:
        yield _reply(kind, "", Aspect.ORDER, _named(expected[:limit]), _named(keys))
    elif len(keys) < len(expected) and not reply.token:
        yield _reply(kind, expected[len(keys)], Aspect.MISSING, _named(expected), _named(keys))


def _walk(state: PrimaryState, step: Step, reply: Walked) -> Iterator[Difference]:
    kind, expected = OwnedKind.VOLUME, _ordered(state.volumes)
    if isinstance(step, WalkSnapshots):
        kind, expected = OwnedKind.SNAPSHOT, _ordered(snapshots_in(state, step.volume))
    keys = [key for page in reply.pages for key in page]
    if keys != expected:
        yield _reply(kind, "", Aspect.ORDER, _named(expected), _named(keys))
    limit = step.limit if isinstance(step, WalkVolumes | WalkSnapshots) else 0
    longest = max((len(page) for page in reply.pages), default=0)
    if longest > limit:
        yield _reply(kind, "", Aspect.SIZE, f"pages of {limit}", f"one of {longest}")


def _named(keys: list[str]) -> str:
    return ", ".join(map(repr, keys)) or "nothing"


def _grant(step: Step, reply: GrantInfo) -> Iterator[Difference]:
    if not isinstance(step, Grant):
        return
    expected = f"{step.volume}|{step.host}|{step.mode.value}"
    text = f"{reply.volume}|{reply.host}|{reply.mode.value}"
    if expected != text:
        yield _reply(OwnedKind.GRANT, expected, Aspect.DETAIL, expected, text)


def _handle(state: PrimaryState, step: Step, reply: HandleAnswer) -> Iterator[Difference]:
    if not isinstance(step, Open | KeepHandle):
        return
    model = state.volumes[step.volume]
    size_bytes = reply.handle.size_bytes
    if size_bytes != model.size_bytes:
        expected, size = str(model.size_bytes), str(size_bytes)
        yield _reply(OwnedKind.VOLUME, step.volume, Aspect.SIZE, expected, size)
    read_only = state.grants[step.volume, step.host].mode is AccessMode.READ_ONLY
    if getattr(reply.handle, "read_only", read_only) != read_only:
        expected = "read-only" if read_only else "writable"
        yield _reply(OwnedKind.VOLUME, step.volume, Aspect.DETAIL, expected, f"not {expected}")


def _health(before: PrimaryState, reply: HealthInfo) -> Iterator[Difference]:
    down = before.down or is_another(before)
    right = HealthState.DOWN if down else HealthState.UP
    if reply.state is not right:
        yield _reply(OwnedKind.STORE, "", Aspect.STATE, right.value, reply.state.value)
    elif down and not reply.dependency:
        yield _reply(OwnedKind.STORE, "", Aspect.DETAIL, "the dependency that failed", "no name")
