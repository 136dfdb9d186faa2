"""What a probe of a primary store's call may say."""

from holdfast.contract.capabilities import PrimaryCapabilities
from holdfast.contract.requests import (
    CopyVolume,
    CreateSnapshot,
    CreateVolume,
    DeleteSnapshot,
    DeleteVolume,
    Grant,
    ModifyVolume,
    ResizeVolume,
    RevertVolume,
    Revoke,
)
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.probed_calls import (
    ABSENT,
    BORN,
    EITHER,
    REVERTED,
    Fate,
    ended,
    reached,
    slot_of,
)
from holdfast_conformance.model.volumes import rounded, same_source
from holdfast_conformance.plan import ProbedCall


def fate_of(state: PrimaryState, call: ProbedCall, declared: PrimaryCapabilities) -> Fate:
    """What has become of a call, as far as it shows in the state."""
    match call:
        case CreateVolume():
            return _created(state, call, declared)
        case DeleteVolume(key=key):
            return ended(state, call, gone=key not in state.volumes)
        case ResizeVolume():
            return _resized(state, call, declared)
        case RevertVolume():
            return _reverted(state, call)
        case ModifyVolume(key=key) | CopyVolume(target=key):
            # Limits are not followed, and a volume does not show what it is a copy of.
            return EITHER if key in state.volumes else ABSENT
        case CreateSnapshot(key=key, volume=volume):
            snapshot = state.snapshots.get(key)
            return reached(state, call, there=snapshot is not None and snapshot.volume == volume)
        case DeleteSnapshot(key=key):
            return ended(state, call, gone=key not in state.snapshots)
        case Grant(volume=volume, host=host, mode=mode):
            grant = state.grants.get((volume, host))
            return reached(state, call, there=grant is not None and grant.mode is mode)
        case Revoke(volume=volume, host=host):
            return ended(state, call, gone=(volume, host) not in state.grants)
        case _:
            raise TypeError(f"a primary store has no call {type(call).__name__}")


def _created(state: PrimaryState, call: CreateVolume, declared: PrimaryCapabilities) -> Fate:
    volume = state.volumes.get(call.key)
    if volume is None:
        return ABSENT
    if volume.size_bytes == rounded(call.size_bytes, declared) and same_source(call, volume):
        return reached(state, call, there=True)
    # Made by this call, and changed since.
    return EITHER if state.acted.get((BORN, call.key)) == call else ABSENT


def _resized(state: PrimaryState, call: ResizeVolume, declared: PrimaryCapabilities) -> Fate:
    volume = state.volumes.get(call.key)
    if volume is None:
        return ABSENT
    target = rounded(call.size_bytes, declared)
    larger = volume.size_bytes > target and not call.shrink
    return reached(state, call, there=larger or volume.size_bytes == target)


def _reverted(state: PrimaryState, call: RevertVolume) -> Fate:
    volume, snapshot = state.volumes.get(call.key), state.snapshots.get(call.snapshot)
    if volume is None:
        return ABSENT
    slot = slot_of(call)
    acted = slot is not None and state.acted.get(slot) == call
    alike = snapshot is not None and (volume.size_bytes, volume.content) == (
        snapshot.size_bytes,
        snapshot.content,
    )
    if acted and alike:
        return reached(state, call, there=True)
    # Changed or reverted since, or equal by chance: the contract does not say what is remembered.
    before = state.acted.get((REVERTED, call.key, call.snapshot)) == call
    return EITHER if alike or before else ABSENT
