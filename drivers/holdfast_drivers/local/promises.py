"""The sum of what a bounded store has promised, kept in its lock file, so that nobody counts.

The first bytes of the lock file hold the sum, and further on a token. The sum is that of everything
in the store as long as the token beside it is the token of the file.

- Who promises more holds the space lock until its call ends. The sum is struck out, durably, before
  anything changes, and written when the call has ended well. Whatever ends a call in between leaves
  no sum, and the next call counts.
- Who gives back does the same where nobody holds that lock, and waits for nobody: else it changes
  the token before and after, so that a sum that another call is about to write is none.

A power cut may lose the sum that was written last, and never brings an older one back.
"""

import contextlib
import hashlib
import struct
from collections.abc import Callable
from typing import Final

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Exhausted
from holdfast.files import mutations
from holdfast_drivers.local.locks import Locks, SpaceTaken
from holdfast_drivers.local.store_folder import Place

_RECORD: Final = struct.Struct("<8sq16s")
_MAGIC: Final = b"promised"
_DIGEST_BYTES: Final = 16
_SUM_BYTES: Final = _RECORD.size + _DIGEST_BYTES
_TOKEN_AT: Final = 512
_TOKEN_BYTES: Final = 16
_NO_TOKEN: Final = bytes(_TOKEN_BYTES)


class Promises:
    """What one store has promised.

    Args:
        place: the store's folder.
        count: adds up everything that is there; slow.
    """

    def __init__(self, place: Place, count: Callable[[], int]) -> None:
        self._place = place
        self._count = count

    def take(self, held: Locks, more_bytes: int) -> None:
        """Promise so much more (or less), which the call that holds these locks goes on to do.

        Raises:
            Exhausted: it does not fit; who needs no more than before is never refused.
            SpaceTaken: another call is promising; nothing was done.
        """
        capacity = self._place.capacity_bytes
        if capacity is None:
            self._doubt(held)
            return
        held.take_space()
        promised = self._begin(held)
        if more_bytes > 0 and promised + more_bytes > capacity:
            raise Exhausted(
                f"{promised} of {capacity} bytes are promised; {more_bytes} more do not fit"
            )
        self._strike(held)
        held.promised = promised + more_bytes

    def give(self, held: Locks, less_bytes: int | None) -> None:
        """Give so much back, which the call that holds these locks goes on to do; ``None`` where
        nobody knows how much it is.
        """
        if less_bytes == 0:
            return
        if self._place.capacity_bytes is None or less_bytes is None:
            self._doubt(held)
            return
        try:
            held.take_space()
        except SpaceTaken:
            self._doubt(held)
            return
        promised = self._begin(held)
        self._strike(held)
        held.promised = promised - less_bytes

    def _begin(self, held: Locks) -> int:
        """The sum now; what is written at the end is only good for the token of now."""
        if held.promised is not None:
            return held.promised
        held.token = _token(held)
        held.at_end.append(lambda: _write_sum(held))
        total = _read_sum(held)
        return self._count() if total is None else total

    def _doubt(self, held: Locks) -> None:
        """Make every sum void, now and when the call has ended.

        A store that is not bounded, or not any more, has at most an old one.
        """
        if self._place.capacity_bytes is None and _read_sum(held) is None:
            return
        held.promised = None
        _renew(held)
        held.at_end.append(lambda: _renew(held))

    def _strike(self, held: Locks) -> None:
        if _read_sum(held) is not None:
            mutations.write_at(held.file, 0, bytes(_SUM_BYTES))
            mutations.fsync_file(held.file)


def _digest(record: bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=_DIGEST_BYTES).digest()


def _token(held: Locks) -> bytes:
    return mutations.read_at(held.file, _TOKEN_AT, _TOKEN_BYTES).ljust(_TOKEN_BYTES, b"\0")


def _read_sum(held: Locks) -> int | None:
    """The sum, where there is one and it is good."""
    data = mutations.read_at(held.file, 0, _SUM_BYTES)
    record, digest = data[: _RECORD.size], data[_RECORD.size :]
    if len(data) < _SUM_BYTES or digest != _digest(record):
        return None
    magic, promised, token = _RECORD.unpack(record)
    return int(promised) if magic == _MAGIC and token == _token(held) else None


def _write_sum(held: Locks) -> None:
    if held.promised is not None:
        record = _RECORD.pack(_MAGIC, held.promised, held.token)
        # In a store that is full there may be no room for it: then it is counted again.
        with contextlib.suppress(OSError):
            mutations.write_at(held.file, 0, (record + _digest(record)).ljust(_TOKEN_AT, b"\0"))


def _fresh_token() -> bytes:
    return runtime().random.getrandbits(8 * _TOKEN_BYTES).to_bytes(_TOKEN_BYTES, "little")


def _renew(held: Locks) -> None:
    """A token that no sum has; whoever wrote a sum has made room for it."""
    with contextlib.suppress(OSError):
        mutations.write_at(held.file, _TOKEN_AT, _fresh_token())
        mutations.fsync_file(held.file)
