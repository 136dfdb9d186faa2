"""The highest fence of each object: what a call that was given up meets when it acts after all.

A late call finds that a later one was made on its object, and is refused before it touches
anything. The fences are in one file of a fixed size, written when the store is made, so that a full
store can still be emptied and nothing grows. It is a table of buckets; an object has its place in
one of them, by a digest of its kind and key, whether it exists, is gone, or never was there. Where
a bucket is full, its lowest fence makes room, and the bucket's floor rises to that: what is no
longer known by itself was at most as high, and a call below the floor is told to come again, which
it does with a higher fence if anybody still wants it. Blocking functions.
"""

import contextlib
import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Final

import xxhash

from holdfast.contract.errors import Busy
from holdfast.files import mutations
from holdfast_drivers.local.errors import after_the_fact, whatever_is_full
from holdfast_drivers.local.locks import Lock, LockKind, Locks, SpaceTaken
from holdfast_drivers.refusals import refuse_late

FILE: Final = "fences"
_SLOT: Final = struct.Struct("<16sQQ")
"""A digest of the object's kind and key, its fence, and a check over both."""
_BUCKET_BYTES: Final = 512
_BUCKETS: Final = 128
_SLOTS: Final = _BUCKET_BYTES // _SLOT.size - 1
_FLOOR: Final = bytes(16)
"""What stands for the bucket in the place of a digest."""
_CREATING: Final = Lock(LockKind.FENCES)


class Fences:
    """The fences of one store.

    Args:
        folder: of the store.
        staging: its folder for what is not finished.
    """

    def __init__(self, folder: mutations.AnyPath, staging: mutations.AnyPath) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._staged = staging / FILE

    @contextlib.contextmanager
    def turn(
        self,
        held: Locks,
        lock: Lock,
        fence: int,
        *,
        recorded: Callable[[], int] = lambda: 0,
        frees: bool = False,
    ) -> Iterator[None]:
        """Act on an object as the latest call on it; durable when the context ends.

        Args:
            held: the locks of the call, that of the object among them.
            lock: which object.
            fence: of the call; 0 is never checked, nor kept.
            recorded: what the object's own row says, durably, of the last call that wrote it.
            frees: the call gives space back, and goes on where a fence finds no space.

        Raises:
            Precondition: a later call was made on the object; nothing was done.
            Busy: it is not known any more whether one was; the call may come again.
        """
        if fence == 0:
            yield
            return
        with contextlib.ExitStack() as stack:
            file: mutations.OpenFile | None = None
            with whatever_is_full(frees):
                file = stack.enter_context(self._opened(held))
                self._enter(held, file, lock, fence, recorded())
            try:
                yield
            except SpaceTaken:
                raise  # nothing was done, and the call comes again
            except BaseException:
                _settle(file, lock.key)
                raise
            # Where the call has written the object's row, that says its fence, durably.
            if recorded() < fence:
                _settle(file, lock.key)

    def refuse_late(self, held: Locks, lock: Lock, fence: int, recorded: int = 0) -> None:
        """Refuse a call that is later than a change of what it only reads; keeps nothing."""
        if fence == 0:
            return
        _compare(lock, fence, recorded)
        with contextlib.suppress(FileNotFoundError):  # a store from before there were fences
            file = mutations.open_existing(self._path)
            with file, held.briefly(_bucket_lock(lock)):
                _Bucket(file, lock).compare(lock, fence)

    def _enter(
        self, held: Locks, file: mutations.OpenFile, lock: Lock, fence: int, recorded: int
    ) -> None:
        _compare(lock, fence, recorded)
        with held.briefly(_bucket_lock(lock)):
            bucket = _Bucket(file, lock)
            bucket.compare(lock, fence)
            bucket.keep(fence)

    @contextlib.contextmanager
    def _opened(self, held: Locks) -> Iterator[mutations.OpenFile]:
        try:
            file = mutations.open_existing(self._path, writable=True)
        except FileNotFoundError:
            with held.briefly(_CREATING):
                self._create()
            file = mutations.open_existing(self._path, writable=True)
        with file:
            yield file

    def _create(self) -> None:
        """Make the table of a store from before there were fences, unless another call just has."""
        if self._path.exists():
            return
        mutations.remove_tree(self._staged)  # of a call that was killed
        try:
            mutations.write_new(self._staged, bytes(_BUCKET_BYTES * _BUCKETS))
            mutations.publish(self._staged, self._path)
        except BaseException:
            mutations.remove_tree(self._staged)
            raise


class _Bucket:
    """One bucket as it is on disk; whoever has it holds its lock."""

    def __init__(self, file: mutations.OpenFile, lock: Lock) -> None:
        self._file = file
        self._digest = _digest(lock)
        self._offset = _number(self._digest) * _BUCKET_BYTES
        data = mutations.read_at(file, self._offset, _BUCKET_BYTES).ljust(_BUCKET_BYTES, b"\0")
        # A slot that a crash cut in two does not match its check, and counts as empty.
        self._fences = {
            digest: fence
            for digest, fence, check in _SLOT.iter_unpack(data)
            if fence and check == _check(digest, fence)
        }

    def compare(self, lock: Lock, fence: int) -> None:
        """Refuse a fence that is lower than one that was kept."""
        highest = self._fences.get(self._digest)
        if highest is not None:
            _compare(lock, fence, highest)
        elif fence < self._fences.get(_FLOOR, 0):
            raise Busy("many later calls were made since this one; try again", object=lock.key)

    def keep(self, fence: int) -> None:
        """Keep a fence that was not refused."""
        if self._fences.get(self._digest) == fence:
            return
        floor = self._fences.pop(_FLOOR, 0)
        self._fences[self._digest] = fence
        while len(self._fences) > _SLOTS:
            lowest = min(self._fences, key=self._fences.__getitem__)
            # Of what is pushed out it is known from now on that it was no higher than the floor.
            floor = max(floor, self._fences.pop(lowest))
        slots = [(_FLOOR, floor), *self._fences.items()]
        data = b"".join(
            _SLOT.pack(digest, slot_fence, _check(digest, slot_fence))
            for digest, slot_fence in slots
        )
        mutations.write_at(self._file, self._offset, data.ljust(_BUCKET_BYTES, b"\0"))


def table(lock: Lock, fence: int) -> bytes:
    """The table of a new store, with the fence of one object."""
    data = bytearray(_BUCKET_BYTES * _BUCKETS)
    if fence:
        digest = _digest(lock)
        slot = _number(digest) * _BUCKET_BYTES + _SLOT.size
        _SLOT.pack_into(data, slot, digest, fence, _check(digest, fence))
    return bytes(data)


def _settle(file: mutations.OpenFile | None, key: str) -> None:
    if file is not None:
        with after_the_fact(key):
            mutations.fsync_file(file)


def _compare(lock: Lock, fence: int, highest: int) -> None:
    refuse_late(fence, highest, lock.key, what=lock.kind)


def _digest(lock: Lock) -> bytes:
    return hashlib.blake2b(f"{lock.kind}\0{lock.key}".encode(), digest_size=len(_FLOOR)).digest()


def _check(digest: bytes, fence: int) -> int:
    return xxhash.xxh3_64_intdigest(digest + fence.to_bytes(8, "little"))


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little") % _BUCKETS


def _bucket_lock(lock: Lock) -> Lock:
    return Lock(LockKind.FENCES, str(_number(_digest(lock))))
