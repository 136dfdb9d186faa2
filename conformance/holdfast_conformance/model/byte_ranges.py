"""The model's rules for any range of bytes, through handles opened for it and handles kept open."""

from collections.abc import Callable

import msgspec

from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import ErrorKind
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import (
    DiscardBytes,
    KeepHandle,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.model.access import USELESS, note_no_handle, open_volume
from holdfast_conformance.model.allowed_outcomes import Reasons, Ruling
from holdfast_conformance.model.content import Content
from holdfast_conformance.model.primary_state import (
    KeptHandle,
    PrimaryState,
    Situation,
    VolumeModel,
)
from holdfast_conformance.stamps import ZEROES

_S = Situation
_FAR_BYTES = 1 << 32
_RangeStep = WriteBytes | WriteRanges | ReadBytes | DiscardBytes


def ruling_of(state: PrimaryState, step: _RangeStep | KeepHandle) -> Ruling:
    """What is allowed for a step that moves bytes, or opens a volume for it."""
    match step:
        case WriteBytes():
            return _write(state, step)
        case WriteRanges():
            return _write_ranges(state, step)
        case ReadBytes():
            return _read(state, step)
        case DiscardBytes():
            return _discard(state, step)
        case KeepHandle():
            return _keep(state, step)


def _keep(state: PrimaryState, step: KeepHandle) -> Ruling:
    """Opening a volume for a handle that stays open."""
    opened = open_volume(state, step)
    situations = (_S.KEEP_HANDLE, *opened.situations)
    if opened.errors:
        return msgspec.structs.replace(opened, situations=situations)
    volume, grant = state.volumes[step.volume], state.grants[step.volume, step.host]
    handle = KeptHandle(step.volume, volume.born, step.host, grant.born, volume.size_bytes)
    handles = {**state.handles, step.handle: handle}
    return Ruling(situations, msgspec.structs.replace(state, handles=handles))


def _write(state: PrimaryState, step: WriteBytes) -> Ruling:
    """A write of a range."""
    reached = _Reached(state, step)
    reasons = reached.reasons
    if reached.is_writable(_S.WRITE_READ_ONLY):
        reasons.note(_S.WRITE)
        if reached.partial:
            reasons.note(_S.WRITE_PART)
        if step.generation == ZEROES:
            reasons.note(_S.WRITE_ZEROES)
    return reached.ruling(
        lambda content: content.put(
            step.volume, step.offset_bytes, step.length_bytes, step.generation
        )
    )


def _write_ranges(state: PrimaryState, step: WriteRanges) -> Ruling:
    reached = _Reached(state, step)
    reasons = reached.reasons
    if reached.is_writable(_S.WRITE_READ_ONLY):
        reasons.note(_S.WRITE)
        reasons.note(_S.WRITE_SEVERAL)

    def written(content: Content) -> Content:
        for index, (offset, length) in enumerate(step.ranges):
            content = content.put(step.volume, offset, length, step.generation + index)
        return content

    return reached.ruling(written)


def _read(state: PrimaryState, step: ReadBytes) -> Ruling:
    """A read of a range."""
    reached = _Reached(state, step)
    if reached.past_end:
        reached.reasons.note(_S.READ_PAST, ErrorKind.OUT_OF_RANGE)
    if not reached.reasons.failing:
        reached.reasons.note(_S.READ)
        if reached.partial:
            reached.reasons.note(_S.READ_PART)
    return reached.ruling(lambda content: content)


def _discard(state: PrimaryState, step: DiscardBytes) -> Ruling:
    """A discard of a range, which reads as zeroes afterwards."""
    reached = _Reached(state, step)
    reasons = reached.reasons
    if reached.is_writable(_S.DISCARD_READ_ONLY):
        reasons.note(_S.DISCARD)
        if reached.partial:
            reasons.note(_S.DISCARD_PART)
    return reached.ruling(lambda content: content.discarded(step.offset_bytes, step.length_bytes))


class _Reached:
    """What a range step reaches: which volume, and whether its handle must, may or cannot work."""

    def __init__(self, state: PrimaryState, step: _RangeStep) -> None:
        self.reasons = Reasons()
        self._perhaps: tuple[ErrorKind, ...] = ()
        self._state = state
        self._step = step
        self._key = step.volume
        self._volume: VolumeModel | None = None
        self.read_only = self.past_end = False
        host, size_bytes = step.host, 0
        kept = state.handles.get(step.handle)
        if kept is not None:
            self._key, host, size_bytes = kept.volume, kept.host, kept.size_bytes
        volume = state.volumes.get(self._key)
        grant = state.grants.get((self._key, host))
        if kept is not None and (volume is None or grant is None):
            self.reasons.note(_S.IO_KEPT_STALE, *USELESS)
        elif volume is None or grant is None:
            note_no_handle(self.reasons, state, self._key)
        else:
            self._volume = volume
            self.read_only = grant.mode is AccessMode.READ_ONLY
            if kept is None:
                size_bytes = volume.size_bytes
            else:
                self._note_kept(kept, volume, grant.born)
            self._note_range(size_bytes, volume.size_bytes)

    def is_writable(self, read_only: Situation) -> bool:
        """Whether what changes bytes must not fail here; why it must is noted."""
        if self.read_only:
            self.reasons.note(read_only, ErrorKind.DENIED)
        if self.past_end:
            self.reasons.note(_S.WRITE_PAST, ErrorKind.OUT_OF_RANGE)
        return not self.reasons.failing

    @property
    def _ends(self) -> tuple[int, int]:
        """Where what the step reaches begins and ends."""
        if isinstance(self._step, WriteRanges):
            starts = [offset for offset, _ in self._step.ranges]
            return min(starts), max(offset + length for offset, length in self._step.ranges)
        return self._step.offset_bytes, self._step.offset_bytes + self._step.length_bytes

    @property
    def partial(self) -> bool:
        """Whether the range ends in the middle of a block."""
        ends = self._ends
        return any(end % BLOCK_BYTES for end in ends)

    def ruling(self, change: Callable[[Content], Content]) -> Ruling:
        """The ruling, with the content changed after success."""
        state, volume = self._state, self._volume
        if volume is None or self.reasons.failing:
            return self.reasons.ruling(state)
        content = change(volume.content)
        if content is not volume.content:
            changed = msgspec.structs.replace(volume, content=content)
            state = state.with_volume(self._key, changed)
        return self.reasons.ruling(state, *self._perhaps)

    def _note_kept(self, kept: KeptHandle, volume: VolumeModel, grant_born: int) -> None:
        if (kept.volume_born, kept.grant_born) == (volume.born, grant_born):
            resized = kept.size_bytes != volume.size_bytes
            self.reasons.note(_S.IO_KEPT_RESIZED if resized else _S.IO_KEPT)
        else:
            # Granted again: the old handle may or may not be the same as a new one.
            self._perhaps = USELESS

    def _note_range(self, handle_bytes: int, volume_bytes: int) -> None:
        first_bytes, end_bytes = self._ends
        self.past_end = end_bytes > volume_bytes
        if handle_bytes < end_bytes <= volume_bytes:
            # A handle need not learn that its volume grew.
            self._perhaps = (*self._perhaps, ErrorKind.OUT_OF_RANGE)
        if self.past_end and handle_bytes > volume_bytes:
            # It need not learn either that the volume shrank, but it gives nothing behind its end.
            self.reasons.note(_S.IO_KEPT_RESIZED, *USELESS, ErrorKind.CORRUPT, ErrorKind.UNKNOWN)
        if first_bytes >= _FAR_BYTES:
            self.reasons.note(_S.IO_FAR)
