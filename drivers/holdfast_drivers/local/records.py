"""Small records: what is read of one is not believed, and one can be replaced on a full disk.

A record that must change although there is no space has a spare: a file of a block or more that is
there already. The new content is written over the spare, and the two change places at once.
Blocking functions.
"""

import contextlib
import errno
from typing import Final, TypeVar

import msgspec

from holdfast.contract.errors import Corrupt
from holdfast.files import mutations
from holdfast.files.trees import RECORD_MAX_BYTES, Strange, TreePath, strange
from holdfast_drivers.local.errors import after_the_fact
from holdfast_drivers.local.names import shown

S = TypeVar("S", bound=msgspec.Struct)

_BLOCK_BYTES: Final = 4096
_SLACK_BYTES: Final = 512
"""By how much a record may grow on a full disk; a change of state needs far less."""
_NO_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def decoded(path: TreePath, data: bytes, kind: type[S]) -> S:
    """The struct that a record holds.

    Raises:
        Corrupt: it holds none.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Corrupt(f"{path} is damaged: {shown(str(error))}") from error


def padded(data: bytes) -> bytes:
    """A record in whole blocks, with some space left in them; JSON ends before the blanks."""
    whole_bytes = -(-(len(data) + _SLACK_BYTES) // _BLOCK_BYTES) * _BLOCK_BYTES
    return data.ljust(whole_bytes)


def made(folder: TreePath, name: str, data: bytes) -> None:
    """Make a record and its spare, in a folder that is not there for others yet."""
    mutations.write_new(folder / f"{name}.json", padded(data))
    mutations.write_new(folder / f"{name}.spare", padded(b""))


def replaced(folder: TreePath, name: str, data: bytes) -> None:
    """Replace a record, durably and at once; the caller holds its lock."""
    record, spare = folder / f"{name}.json", folder / f"{name}.spare"
    # What a killed call exchanged must be durable before its other half is written over.
    mutations.fsync_directory(folder)
    _part_with_others(spare)
    if not spare.exists():
        _make_spare(spare, data)
    with mutations.open_existing(spare, writable=True) as file:
        size_bytes = file.size_bytes()
        if size_bytes > RECORD_MAX_BYTES:
            raise strange(spare, "it is larger than any record; remove it")
        mutations.write_at(file, 0, data.ljust(size_bytes))
        mutations.fsync_file(file)
    try:
        mutations.exchange(spare, record)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        mutations.rename(spare, record)
    with after_the_fact():
        mutations.fsync_directory(folder)
    with contextlib.suppress(OSError):  # the next change says so, where it needs what is not there
        _keep_spare(spare, data)


def _part_with_others(spare: TreePath) -> None:
    """Leave a file alone that has another name elsewhere: a backup made of hard links, say, whose
    record this was.
    """
    with contextlib.suppress(FileNotFoundError):
        if spare.regular().st_nlink > 1:
            mutations.unlink(spare)


def _make_spare(spare: TreePath, data: bytes) -> None:
    """For a record from before there were spares."""
    try:
        mutations.write_new(spare, padded(data))
    except OSError:
        with contextlib.suppress(OSError):
            mutations.unlink(spare)  # empty or half written, it takes what others need
        raise


def _keep_spare(spare: TreePath, data: bytes) -> None:
    """Let the spare have the blocks that the next change needs."""
    if not spare.exists():
        _make_spare(spare, data)
        return
    with mutations.open_existing(spare, writable=True) as file:
        missing = len(padded(data)) - file.size_bytes()
        if missing > 0:
            mutations.write_at(file, file.size_bytes(), b" " * missing)
            mutations.fsync_file(file)


def note(path: TreePath, text: str) -> None:
    """Write down what is of use but need not survive; over what is there, which needs no space."""
    data = text.encode()
    try:
        with mutations.open_existing(path, writable=True) as file:
            mutations.write_at(file, 0, data)
            mutations.truncate(file, len(data))
    except (FileNotFoundError, Strange):
        mutations.remove_tree(path)  # whatever stands in its place
        mutations.write_new(path, data)


def noted(path: TreePath) -> str:
    """What was written down; nonsense, which equals nothing, where a call was killed meanwhile."""
    try:
        return path.read_bytes().decode(errors="replace")
    except Strange:
        return "\0"
