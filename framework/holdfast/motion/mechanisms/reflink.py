"""Reflink: two files of one file system share their blocks, whatever the size."""

import errno
import os
from typing import ClassVar, Final

from holdfast.data.block_io import Extent
from holdfast.files import kernel_copies, mutations
from holdfast.motion.block_digests import BlockDigest
from holdfast.motion.mechanism import NotHere, Offer, Pair, Refusal
from holdfast.motion.mechanisms.opened_files import BetweenFiles, FileMover
from holdfast.motion.pieces import Piece

_NO_CLONE: Final = frozenset(
    {
        errno.EXDEV,
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.ENOTTY,
        errno.ENOSYS,
        errno.EPERM,
        errno.ETXTBSY,
    }
)


class _Sharing(FileMover):
    def move_between(
        self, source: mutations.OpenFile, target: mutations.OpenFile, piece: Piece
    ) -> tuple[BlockDigest, ...]:
        size_bytes = os.fstat(source.fd).st_size
        if size_bytes < piece.length_bytes:
            raise self.ended_early()
        if size_bytes > piece.length_bytes:
            raise NotHere(f"the source's file has {size_bytes} bytes, more than are wanted")
        try:
            kernel_copies.clone_range(source, target)
        except OSError as error:
            if error.errno in _NO_CLONE:
                raise NotHere(f"the files cannot share blocks: {error.strerror}") from None
            whole = Extent(0, piece.length_bytes)
            raise self.blamed(error, source, whole) from None
        return ()


class Reflink(BetweenFiles):
    """``FICLONE``."""

    mover = _Sharing
    name: ClassVar[str] = "reflink"
    whole: ClassVar[bool] = True
    through_host: ClassVar[bool] = False

    def offer_files(self, pair: Pair) -> Offer | Refusal:
        if pair.digested:
            return Refusal("nobody reads the bytes, and their digest is wanted")
        if pair.length_bytes != pair.source.handle.size_bytes:
            return Refusal("a part of the source is wanted, and all of it would be shared")
        return Offer(cost=0, how="blocks are shared, where both files are on one file system")
