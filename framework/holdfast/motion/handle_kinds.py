"""What kinds of handle a mechanism wants at either end, and its words for others."""

from typing import Final

from holdfast.contract.handles import (
    BlockNodeHandle,
    ExtentHandle,
    FileHandle,
    Handle,
    HttpHandle,
    NativeHandle,
)
from holdfast.motion.mechanism import Pair, Refusal

WORDS: Final[dict[type[Handle], str]] = {
    FileHandle: "a file of this host",
    BlockNodeHandle: "a volume behind a host's storage daemon",
    HttpHandle: "an object behind an address",
    NativeHandle: "a reference that only its store understands",
    ExtentHandle: "bytes in memory",
}


def both_files(pair: Pair) -> tuple[FileHandle, FileHandle] | Refusal:
    """The handles of a pair of files, or why it is none."""
    source, target = pair.source.handle, pair.target.handle
    if not isinstance(source, FileHandle):
        return Refusal(f"the source is {WORDS[type(source)]}, not {WORDS[FileHandle]}")
    if not isinstance(target, FileHandle):
        return Refusal(f"the target is {WORDS[type(target)]}, not {WORDS[FileHandle]}")
    return source, target
