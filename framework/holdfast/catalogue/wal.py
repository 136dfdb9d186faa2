"""What the WAL of a catalogue that was not closed says, beside what its index said before.

SQLite reads a WAL up to the first frame that is not right and forgets the rest in silence: right
after a power cut, where that is a commit nobody was told of, and wrong when acknowledged commits
come after it. Two witnesses tell these apart. The index (``-shm``) outlives a killed process, and
counts a frame only after it is on disk; and SQLite begins a commit only when the one before it is
on disk.
"""

import os
import struct
from pathlib import Path

import msgspec

from holdfast.catalogue.port import CatalogueDamaged
from holdfast.files.private import open_existing

_INDEX = struct.Struct("=4x4x4xBBHII8x8s8x")
"""A header of the index: initialized, -, page size, frames, pages, salt."""
_INDEX_BYTES = 48
_BACKFILLED_AT = 96
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAGICS = (0x377F0682, 0x377F0683)
_LATER_MAX = 1 << 20
"""So many resets of the WAL later an index may still be that of an earlier one."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What the index of a WAL counted."""

    frames: int
    backfilled: int
    salt: bytes

    @property
    def needed(self) -> bool:
        """Whether commits are in the WAL that are nowhere else."""
        return self.frames > self.backfilled


def read_index(path: Path) -> Index | None:
    """What an index says; ``None`` where it says nothing, as after a clean end or a power cut.

    To be read while nothing in this process has the index open.
    """
    try:
        fd = open_existing(path)
    except FileNotFoundError:
        return None
    try:
        head = os.pread(fd, _BACKFILLED_AT + 4, 0)
    finally:
        os.close(fd)
    return _index_of(head)


def _index_of(head: bytes) -> Index | None:
    first, second = head[:_INDEX_BYTES], head[_INDEX_BYTES : 2 * _INDEX_BYTES]
    if len(head) < _BACKFILLED_AT + 4 or first != second:
        return None
    initialized, _, _, frames, _, salt = _INDEX.unpack(first)
    if initialized != 1:
        return None
    (backfilled,) = struct.unpack_from("=I", head, _BACKFILLED_AT)
    return Index(frames=frames, backfilled=backfilled, salt=salt)


def is_empty(wal: Path) -> bool:
    """Whether a WAL is absent, or holds nothing."""
    try:
        return wal.stat().st_size == 0
    except FileNotFoundError:
        return True


def check_presence(catalogue: Path, index: Index | None) -> None:
    """See that what lies in the WAL's place is one, and is there when its index needs it.

    Raises:
        CatalogueDamaged: it is something else, is missing, or is that of another catalogue.
    """
    wal = _beside(catalogue, "-wal")
    if _salt_of(wal) is None and not _is_blank(wal):
        raise _broken(wal, "its header")
    if index is None or not index.needed:
        return
    if is_empty(wal):
        raise CatalogueDamaged(
            f"{wal}: is missing, and the last commits of the catalogue are in it; put it back. To "
            f"go on without them, remove {_beside(catalogue, '-shm').name}"
        )
    salt = _salt_of(wal)
    if salt is None or salt == index.salt:
        return
    (now,), (then,) = struct.unpack(">I4x", salt), struct.unpack(">I4x", index.salt)
    if not 0 < (now - then) % (1 << 32) < _LATER_MAX:
        raise CatalogueDamaged(
            f"{wal}: is not the one that was written with {catalogue.name}; put that back. To go "
            "on with what the catalogue has without it, move it away"
        )


def check_frames(catalogue: Path, read: int, before: Index | None) -> None:
    """See that SQLite, which found ``read`` good frames in a WAL, has left no commit out.

    Raises:
        CatalogueDamaged: it has.
    """
    wal = _beside(catalogue, "-wal")
    salt = _salt_of(wal)
    if salt is None:
        return
    if before is not None and before.salt == salt and before.frames > read:
        raise _broken(wal, f"frame {read + 1} of {before.frames}")
    if _goes_on(wal, salt, read):
        raise _broken(wal, f"frame {read + 1}")


def frames_in(index: Path) -> int:
    """How many good frames SQLite found; the index is to be closed only after SQLite's own."""
    found = read_index(index)
    return found.frames if found is not None else 0


def _broken(wal: Path, what: str) -> CatalogueDamaged:
    return CatalogueDamaged(
        f"{wal}: {what} is damaged, and commits that were acknowledged come after it; restore the "
        "catalogue with its -wal from a copy. To go on without what is in it, move it away"
    )


def _goes_on(wal: Path, salt: bytes, read: int) -> bool:
    """Whether there is a commit after the good frames, and then another one."""
    with os.fdopen(open_existing(wal), "rb") as file:
        page = struct.unpack(">8xI20x", file.read(_WAL_HEADER_BYTES))[0]
        committed = False
        offset = _WAL_HEADER_BYTES + read * (_FRAME_HEADER_BYTES + page)
        while True:
            file.seek(offset)
            head = file.read(_FRAME_HEADER_BYTES)
            if len(head) < _FRAME_HEADER_BYTES:
                return False
            if head[8:16] == salt:
                if committed:
                    return True
                committed = head[4:8] != bytes(4)
            offset += _FRAME_HEADER_BYTES + page


def _salt_of(wal: Path) -> bytes | None:
    """The salt in the header of a WAL, where there is a header."""
    try:
        fd = open_existing(wal)
    except FileNotFoundError:
        return None
    try:
        head = os.pread(fd, _WAL_HEADER_BYTES, 0)
    finally:
        os.close(fd)
    if len(head) < _WAL_HEADER_BYTES or struct.unpack_from(">I", head)[0] not in _MAGICS:
        return None
    return head[16:24] if _header_sum(head) == head[24:32] else None


def _header_sum(head: bytes) -> bytes:
    """The checksum of a header, as SQLite makes it."""
    order = ">" if head[3] & 1 else "<"
    first = second = 0
    words = struct.unpack(f"{order}6I", head[:24])
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second)


def _is_blank(wal: Path) -> bool:
    """Whether a WAL was made and never written, as far as the disk knows."""
    try:
        fd = open_existing(wal)
    except FileNotFoundError:
        return True
    with os.fdopen(fd, "rb") as file:
        return not any(file.read(_WAL_HEADER_BYTES))


def _beside(catalogue: Path, ending: str) -> Path:
    return catalogue.with_name(catalogue.name + ending)
