"""Kernel copy: bytes go from one file to the other inside the kernel, extent by extent.

``copy_file_range`` first, which a file system or NFS server may carry out by itself; where two file
systems cannot do that together, ``sendfile``.
"""

import errno
from collections.abc import Callable
from typing import ClassVar, Final

from holdfast.data.block_io import Extent
from holdfast.files import kernel_copies, mutations
from holdfast.motion.block_digests import BlockDigest
from holdfast.motion.mechanism import NotHere, Offer, Pair, Refusal
from holdfast.motion.mechanisms.opened_files import BetweenFiles, FileMover
from holdfast.motion.pieces import Piece

_REFUSED: Final = frozenset(
    {
        errno.EXDEV,
        errno.EOPNOTSUPP,
        errno.EINVAL,
        errno.EBADF,
        errno.ETXTBSY,
        errno.ENOSYS,
        errno.EPERM,
    }
)
_Copy = Callable[[mutations.OpenFile, int, mutations.OpenFile, int, int], int]
_WAYS: Final[tuple[tuple[str, _Copy], ...]] = (
    ("copy_file_range", kernel_copies.copy_range),
    ("sendfile", kernel_copies.send_range),
)


class _Copying(FileMover):
    _ways = _WAYS

    def move_between(
        self, source: mutations.OpenFile, target: mutations.OpenFile, piece: Piece
    ) -> tuple[BlockDigest, ...]:
        for extent in piece.extents:
            self._extent(source, target, extent)
        return ()

    def _extent(
        self, source: mutations.OpenFile, target: mutations.OpenFile, extent: Extent
    ) -> None:
        refusal = ""
        while self._ways:
            name, copy = self._ways[0]
            try:
                copied = copy(
                    source, extent.offset_bytes, target, extent.offset_bytes, extent.length_bytes
                )
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise self.blamed(error, source, extent) from None
                refusal = f"{name}: {error.strerror}"
            else:
                if copied == extent.length_bytes:
                    return
                if source.size_bytes() < extent.offset_bytes + extent.length_bytes:
                    raise self.ended_early()
                # Some file systems answer with fewer bytes, or none, for what they cannot do.
                refusal = f"{name}: {copied} bytes came of {extent.length_bytes}"
            self._ways = self._ways[1:]
        raise NotHere(f"the kernel copies nothing between these files ({refusal})")


class KernelCopy(BetweenFiles):
    """``copy_file_range`` and ``sendfile``."""

    mover = _Copying
    name: ClassVar[str] = "kernel-copy"

    def offer_files(self, pair: Pair) -> Offer | Refusal:
        if pair.digested:
            return Refusal("nobody reads the bytes, and their digest is wanted")
        return Offer(cost=1.8, how="data is copied inside the kernel, holes stay holes")
