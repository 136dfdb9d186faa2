"""The model's rules for grants, handles, and reading and writing through them."""

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import Grant, Open, Revoke
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import KeepHandle
from holdfast_conformance.model.allowed_outcomes import Reasons, Ruling
from holdfast_conformance.model.primary_state import PrimaryState, Situation
from holdfast_conformance.plan import ReadBlocks, ReadStale, WriteBlocks

_S = Situation
USELESS = (ErrorKind.DENIED, ErrorKind.NOT_FOUND, ErrorKind.UNAVAILABLE)
"""How a handle fails under which nothing is granted any more."""


def grant(state: PrimaryState, step: Grant) -> Ruling:
    """``grant``."""
    reasons = Reasons()
    at_rest = (ErrorKind.PRECONDITION,) if state.store.maintenance else ()
    held = state.grants.get((step.volume, step.host))
    if held is not None:
        if held.mode is step.mode:
            reasons.note(_S.GRANT_AGAIN)
            return reasons.ruling(state, *at_rest)
        reasons.note(_S.GRANT_MODE, ErrorKind.CONFLICT, *at_rest)
    elif at_rest:
        reasons.note(_S.MAINTENANCE, *at_rest)
    if step.volume not in state.volumes:
        reasons.note(_S.GRANT_ABSENT, ErrorKind.NOT_FOUND)
    if step.host not in state.store.hosts:
        reasons.note(_S.GRANT_HOST, ErrorKind.NOT_FOUND)
    others = [
        model.mode
        for (volume, host), model in state.grants.items()
        if volume == step.volume and host != step.host
    ]
    if others and AccessMode.EXCLUSIVE in (step.mode, *others):
        reasons.note(_S.GRANT_EXCLUDED, ErrorKind.IN_USE)
    if not reasons.failing:
        reasons.note(_S.GRANT_NEW)
    return reasons.ruling(state.with_grant((step.volume, step.host), step.mode))


def revoke(state: PrimaryState, step: Revoke) -> Ruling:
    """``revoke``."""
    reasons = Reasons()
    if (step.volume, step.host) not in state.grants:
        reasons.note(_S.REVOKE_ABSENT)
        return reasons.ruling(state)
    reasons.note(_S.REVOKE)
    if len(state.hosts_of(step.volume)) > 1:
        reasons.note(_S.REVOKE_ONE)
    return reasons.ruling(state.with_grant((step.volume, step.host), None))


def open_volume(state: PrimaryState, step: Open | KeepHandle) -> Ruling:
    """``open``."""
    reasons = Reasons()
    if step.volume not in state.volumes:
        reasons.note(_S.OPEN_ABSENT, ErrorKind.NOT_FOUND)
    elif (step.volume, step.host) not in state.grants:
        reasons.note(_S.OPEN_UNGRANTED, ErrorKind.DENIED)
    else:
        reasons.note(_S.OPEN)
    return reasons.ruling(state)


def write(state: PrimaryState, step: WriteBlocks) -> Ruling:
    """A write of whole stamped blocks through the host's handle."""
    reasons = Reasons()
    volume = state.volumes.get(step.volume)
    model = state.grants.get((step.volume, step.host))
    if volume is None or model is None:
        note_no_handle(reasons, state, step.volume)
        return reasons.ruling(state)
    if model.mode is AccessMode.READ_ONLY:
        reasons.note(_S.WRITE_READ_ONLY, ErrorKind.DENIED)
    if (step.first + step.count) * BLOCK_BYTES > volume.size_bytes:
        reasons.note(_S.WRITE_PAST, ErrorKind.OUT_OF_RANGE)
    if reasons.failing:
        return reasons.ruling(state)
    reasons.note(_S.WRITE)
    content = volume.content.written(step.volume, step.first, step.count, step.generation)
    return reasons.ruling(
        state.with_volume(step.volume, msgspec.structs.replace(volume, content=content))
    )


def read(state: PrimaryState, step: ReadBlocks) -> Ruling:
    """A read through the host's handle, opened for it."""
    reasons = Reasons()
    volume = state.volumes.get(step.volume)
    if volume is None or (step.volume, step.host) not in state.grants:
        note_no_handle(reasons, state, step.volume)
    elif (step.first + step.count) * BLOCK_BYTES > volume.size_bytes:
        reasons.note(_S.READ_PAST, ErrorKind.OUT_OF_RANGE)
    else:
        reasons.note(_S.READ)
    return reasons.ruling(state)


def read_stale(state: PrimaryState, step: ReadStale) -> Ruling:
    """A read through the handle that was opened last; useless once its grant is revoked."""
    reasons = Reasons()
    if step.volume not in state.volumes or (step.volume, step.host) not in state.grants:
        reasons.note(_S.READ_STALE, *USELESS)
        return reasons.ruling(state)
    # Granted again, or never revoked: the old handle may or may not be the same as a new one.
    reasons.note(_S.READ)
    return reasons.ruling(state, *USELESS, ErrorKind.OUT_OF_RANGE)


def note_no_handle(reasons: Reasons, state: PrimaryState, volume: str) -> None:
    """Note that a host has no way to a volume."""
    missing = ErrorKind.DENIED if volume in state.volumes else ErrorKind.NOT_FOUND
    reasons.note(_S.IO_UNGRANTED, missing)
