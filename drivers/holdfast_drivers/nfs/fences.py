"""The highest fence of each thing of a store, kept as names of empty files: no lock is needed.

<store>/fences/<bucket>/<digest of kind and key>.<fence>    a call with this fence was made on it
<store>/fences/<bucket>/floor.<fence>                       what is no longer known was lower

A name says all there is, so that making it (the server refuses a second time) and removing it
never meet anything else than was meant, however late they come. A fence is entered before a call
looks at anything else, and compared once more right before it acts; whoever acts by renaming a file
in staging to its place is stopped between the two, too, since a later call removes that file after
it has entered its own fence.

Parts have buckets of their own, ``part-<bucket>``: of an upload they are many, and a completion
must not lose its fence to those that others send while it joins.

Nothing grows: a bucket has room for a few things, whether they exist or not. What is too much goes,
the lowest first, and before that the floor rises to it: a call below the floor on something that
the bucket does not know is told to come again, which it does with a higher fence if anybody still
wants it. Blocking functions.
"""

import contextlib
import hashlib
from typing import Final

from holdfast.contract.errors import Busy
from holdfast_drivers.local.errors import whatever_is_full
from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.refusals import refuse_late

FENCES: Final = "fences"
_BUCKETS: Final = 128
_KNOWN_MAX: Final = 15
_DIGEST_BYTES: Final = 16
_FLOOR: Final = "floor"
_APART: Final = "part"


def fenced(name: str, fence: int) -> str:
    """A name that says of which call it is; without a fence, the plain one."""
    return f"{name}.{fence:016x}" if fence else name


def fence_in(name: str) -> int:
    """The fence that a name says; 0 where it says none."""
    try:
        return int(name.partition(".")[2] or "0", 16)
    except ValueError:
        return 0


class Fences:
    """The fences of the store in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = f"{folder}/{FENCES}"

    def enter(
        self, client: Client, kind: str, key: str, fence: int, *, frees: bool = False
    ) -> None:
        """Let no earlier call act on a thing any more; 0 is no fence.

        Args:
            client: the connection.
            kind: of the thing.
            key: of the thing.
            fence: of the call.
            frees: the call gives space back, and goes on where a fence finds no space.

        Raises:
            Precondition: a later call was made on it; nothing was done.
            Busy: it is not known any more whether one was; the call may come again.
        """
        if fence == 0:
            return
        digest = _digest(kind, key)
        own = f"{self._bucket(digest)}/{fenced(digest, fence)}"
        new = False
        with whatever_is_full(frees):
            new = self._make(client, own)
        # Entered before it is compared: of two at once at least one sees the other.
        try:
            fences_of = self._compared(client, digest, kind, key, fence, new=new)
        except BaseException:
            if new:
                client.discard(own)
            raise
        if new or fence in fences_of.get(digest, ()):  # else nothing stands for the lower ones
            with whatever_is_full(frees):
                self._trim(client, digest, fence, fences_of)

    def check(self, client: Client, kind: str, key: str, fence: int) -> None:
        """Refuse a call after which a later one has entered; as ``enter``, keeping nothing."""
        if fence:
            self._compared(client, _digest(kind, key), kind, key, fence)

    def highest(self, client: Client, kind: str, key: str) -> int:
        """The highest fence that may have been entered for a thing."""
        digest = _digest(kind, key)
        names = self._names(client, digest)
        return max(names.get(digest) or names.get(_FLOOR) or [0])

    def _bucket(self, digest: str) -> str:
        apart, _, number = digest.rpartition("-")
        prefix = f"{apart}-" if apart else ""
        return f"{self._folder}/{prefix}{int(number[:8], 16) % _BUCKETS:02x}"

    def _make(self, client: Client, path: str) -> bool:
        """Make an empty file, and the folders on its way; whether it is new."""
        folders = path.rpartition("/")[0], self._folder
        missing: list[str] = []
        while True:
            try:
                for folder in missing:
                    with contextlib.suppress(FileExistsError):
                        client.mkdir(folder)
                with client.create(path):
                    return True
            except FileExistsError:
                return False
            except FileNotFoundError:
                if len(missing) == len(folders):
                    raise
                missing = list(reversed(folders[: len(missing) + 1]))

    def _names(self, client: Client, digest: str) -> dict[str, list[int]]:
        """What is in a bucket: all fences of each digest, and of the floor, rising."""
        fences_of: dict[str, list[int]] = {}
        with contextlib.suppress(FileNotFoundError):
            for name in client.entries(self._bucket(digest)):
                fences_of.setdefault(name.partition(".")[0], []).append(fence_in(name))
        return {name: sorted(fences) for name, fences in fences_of.items()}

    def _compared(
        self, client: Client, digest: str, kind: str, key: str, fence: int, *, new: bool = False
    ) -> dict[str, list[int]]:
        names = self._names(client, digest)
        fences = names.get(digest, [])
        refuse_late(fence, max(fences, default=0), key, what=kind)
        known = any(one < fence or not new for one in fences)
        if not known and fence < max(names.get(_FLOOR, [0])):
            raise Busy("many later calls were made since this one; try again", object=key)
        return names

    def _trim(self, client: Client, digest: str, fence: int, names: dict[str, list[int]]) -> None:
        """Remove what this call's fence stands for now, and what is too much."""
        bucket = self._bucket(digest)
        gone = [(digest, one) for one in names.get(digest, ()) if one < fence]
        others = {name: max(fences) for name, fences in names.items() if name != _FLOOR}
        others.pop(digest, None)
        lowest = sorted(others, key=others.__getitem__)[: max(0, len(others) + 1 - _KNOWN_MAX)]
        floors = names.get(_FLOOR, [])
        if lowest:
            floor = max(*floors, *(others[name] for name in lowest), 0)
            # Before the fences that it stands for go: nobody may see neither.
            self._make(client, f"{bucket}/{fenced(_FLOOR, floor)}")
            floors = [*floors, floor]
        gone += [(name, one) for name in lowest for one in names[name]]
        gone += [(_FLOOR, one) for one in floors if one < max(floors)]
        for name, one in gone:
            client.discard(f"{bucket}/{fenced(name, one)}")


def _digest(kind: str, key: str) -> str:
    digest = hashlib.blake2b(f"{kind}\0{key}".encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{_APART}-{digest}" if kind == _APART else digest
