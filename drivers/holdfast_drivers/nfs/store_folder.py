"""The folder of one image store on an export: where things are, and what state the store is in.

<folder>/<namespace>/image/
    store.json      id, name and identity; changed by nothing but adoption
    working.<fence> its name is ``maintenance`` while the store is in maintenance
    hosts/          a file for each attached host: <name>.<fence>
    objects/        a file for each object
    uploads/        a file for each open upload: its row
    parts/          a file for each part: <upload>.<upload's id>.<number>
    staging/        what is not finished: <kind>.<name>.<fresh id>
    fences/         see :mod:`holdfast_drivers.nfs.fences`

NFSv3 without its lock service has no locks, so nothing here needs one: each change is one
``rename``, ``link`` or ``unlink`` on the server, of a file that nobody changes afterwards. Whoever
loses a race finds the name taken, or the file gone, and says so. A name that another thing could
have by the time a late call comes to it is not unlinked: see ``Shelves.take``.
"""

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.errors import Busy, Corrupt, Invalid, NotFound, Precondition, Unknown
from holdfast.contract.identity import ExpectedStore
from holdfast.files.trees import Strange
from holdfast_drivers.local.errors import FULL, SET_APART, driver_error
from holdfast_drivers.local.names import key_of, name_of, shown
from holdfast_drivers.nfs.config import NfsImageConfig
from holdfast_drivers.nfs.errors import LOST
from holdfast_drivers.nfs.fences import Fences, fence_in
from holdfast_drivers.nfs.libnfs import Client, Status, until_fresh
from holdfast_drivers.refusals import refuse_late

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
Own = Callable[[Client, str], int]
"""The fence in which what has a path was made."""
Whose = Callable[[Client, str], str]
"""The key of what has a path."""

FOLDERS: Final = ("hosts", "objects", "uploads", "parts", "staging")
STORE: Final = "store.json"
MAINTENANCE: Final = "maintenance"
WORKING: Final = "working"
_TAKEN: Final = "taken-"
_OFF: Final = ".off"


class StoreRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``store.json`` says."""

    id: str
    name: str
    operation: str
    identity: str = ""


class Shelves:
    """The paths of one store on its export, and the state of the store. Blocking functions."""

    def __init__(self, config: NfsImageConfig) -> None:
        self.base = f"/{config.folder}" if config.folder else ""
        self.namespace = f"{self.base}/{name_of(config.namespace)}"
        self.folder = f"{self.namespace}/image"
        self.objects = f"{self.folder}/objects"
        self.uploads = f"{self.folder}/uploads"
        self.parts = f"{self.folder}/parts"
        self.hosts = f"{self.folder}/hosts"
        self.staging = f"{self.folder}/staging"
        self.fences = Fences(self.folder)

    # The store

    def row(self, client: Client) -> StoreRow:
        """Which store this is.

        Raises:
            NotFound: the folder is reachable, and it is no store.
            Corrupt: the store's row is damaged or lost.
        """
        path = f"{self.folder}/{STORE}"
        try:
            row = decoded(client, path, StoreRow)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
                raise
            row = None
        if row is None:
            raise self._absent(client)
        return row

    def _absent(self, client: Client) -> NotFound | Corrupt:
        if client.exists(self.folder):
            return Corrupt(f"{self.folder}/{STORE} is lost; restore it from a backup")
        return NotFound(f"there is no image store in {self.folder}; initialize it first")

    def in_service(self, client: Client) -> None:
        """Make sure that there is a store; cheaper than ``row``."""
        if not client.exists(f"{self.folder}/{STORE}"):
            raise self._absent(client)

    def allocating(self, client: Client) -> None:
        """For a new allocation; ``Precondition`` in maintenance."""
        names = self.names(client, self.folder)
        if STORE not in names:
            raise self._absent(client)
        if is_resting(names):
            raise Precondition(
                "the store is in maintenance; cancel it first", state=StoreState.MAINTENANCE.value
            )

    def info(self, client: Client) -> StoreInfo:
        """What is reported of the store."""
        row = self.row(client)
        resting = is_resting(client.entries(self.folder))
        hosts = {self.key(client, self.hosts, name) for name in client.entries(self.hosts)}
        return StoreInfo(
            id=row.id,
            name=row.name,
            state=StoreState.MAINTENANCE if resting else StoreState.UP,
            hosts=tuple(sorted((host for host in hosts if host is not None), key=str.encode)),
            identity=row.identity,
        )

    def recognize(self, client: Client, expected: ExpectedStore) -> None:
        """Refuse a folder that is another store than the one expected, or none."""
        if not expected.identities:
            return
        try:
            row = self.row(client)
        except NotFound as problem:
            raise expected.missing(problem) from problem
        expected.check(
            StoreInfo(id=row.id, name=row.name, state=StoreState.UP, identity=row.identity)
        )

    # Names

    def names(self, client: Client, folder: str) -> dict[str, Status]:
        """What is in a folder of the store; ``NotFound`` where there is no store."""
        try:
            return client.entries(folder)
        except FileNotFoundError:
            raise self._absent(client) from None

    def key(self, client: Client, folder: str, name: str) -> str | None:
        """The key that a file's name, or the file itself, stands for; ``None`` where for none."""
        plain = name.partition(".")[0]
        key = key_of(plain)
        if key is not None:
            return key
        try:
            read = client.read(f"{folder}/{name}").decode(errors="replace")
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ESTALE, *SET_APART}:
                return None
            raise
        return read if name_of(read) == plain else None

    # Staging

    def staged(self, kind: str, key: str, fresh: str) -> str:
        """Where something for this key is built."""
        return f"{self.staging}/{kind}.{name_of(key)}.{fresh}"

    def leftovers(self, client: Client, kind: str, key: str, more: str = "") -> list[str]:
        """What killed calls left of this key in staging, with ``more`` after its name."""
        prefix = f"{kind}.{name_of(key)}.{more}"
        names = self.names(client, self.staging)
        return sorted(f"{self.staging}/{name}" for name in names if name.startswith(prefix))

    def purge(self, client: Client, kind: str, key: str) -> None:
        """Remove what killed calls left of this key."""
        for path in self.leftovers(client, kind, key):
            client.discard(path)

    def disarm(self, client: Client, kind: str, key: str, more: str = "") -> None:
        """Let no call publish what it has staged; it stays to be seen, under another name."""
        for path in self.leftovers(client, kind, key, more):
            if not path.endswith(_OFF):
                with contextlib.suppress(FileNotFoundError):
                    client.rename(path, f"{path}{_OFF}")

    def take(self, client: Client, path: str, kind: str, key: str, *, fence: int, own: Own) -> None:
        """Remove what has a name, and never what a later call has put there.

        The server unlinks whatever has a name by then. So what is there is taken away whole, looked
        at, and brought back where it is of a later call, or such a call came in between; ``own``
        says in what fence it was made.
        """
        if not fence:
            remove_tree(client, path)
            return
        aside = self.staged(f"{_TAKEN}{kind}", key, f"{fence:016x}")
        while True:
            try:
                client.rename(path, aside)
                more = True
            except FileNotFoundError:
                more = False
            except OSError as error:
                if error.errno not in FULL:
                    raise
                remove_tree(client, path)  # no name can be made any more; what frees goes on
                return
            late: Precondition | Busy | None = None
            with after_the_fact(key):
                newest = _made_in(client, aside, own) if more else 0
                try:
                    self.fences.check(client, kind, key, fence)
                except (Precondition, Busy) as error:
                    late = error
                more = self.settle(client, path, kind, key, own=own, until=fence) or more
            refuse_late(fence, newest, key, what=kind)
            if late is not None:
                raise late
            if not more:  # nothing is left that another call could bring back
                return

    def settle_all(self, client: Client, kind: str, folder: str, *, own: Own, whose: Whose) -> None:
        """As ``settle``, of all things of a kind, for who looks at all of them."""
        for name in self.names(client, self.staging):
            prefix, _, rest = name.partition(".")
            if prefix != f"{_TAKEN}{kind}":
                continue
            plain = rest.partition(".")[0]
            key = key_of(plain)
            with contextlib.suppress(Corrupt, FileNotFoundError, Strange):
                key = whose(client, f"{self.staging}/{name}") if key is None else key
            if key is not None and name_of(key) == plain:
                self.settle(client, f"{folder}/{plain}", kind, key, own=own)

    def settle(
        self, client: Client, path: str, kind: str, key: str, *, own: Own, until: int = 0
    ) -> bool:
        """End what calls began that took something and came no further; whether there was any.

        It gets its name again where it is of a later call than the one that took it, and than
        ``until``, or such a call was made since. Who finds nothing under a name does this first.
        """
        leftovers = self.leftovers(client, f"{_TAKEN}{kind}", key)
        entered = self.fences.highest(client, kind, key) if leftovers else 0
        for aside in leftovers:
            fence = max(until, fence_in(f".{aside.rpartition('.')[2]}"))
            if fence < max(entered, _made_in(client, aside, own)):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    client.link(aside, path)
            remove_tree(client, aside)
        return bool(leftovers)

    @contextlib.contextmanager
    def building(self, client: Client, kind: str, key: str, fresh: str) -> Iterator[str]:
        """A path in staging that is free now and free afterwards."""
        staged = self.staged(kind, key, fresh)
        try:
            yield staged
        except BaseException as error:
            lost = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(lost, OSError) or lost.errno not in LOST:
                with after_the_fact(key):
                    client.discard(staged)
            raise


class Unreadable(msgspec.Struct, frozen=True):
    """An entry that is set apart: where it is in the store, and what is wrong with it."""

    folder: str
    name: str
    reason: str


def apart(folder: str, name: str, look: Callable[[], T | None]) -> T | Unreadable | None:
    """What ``look`` sees of one entry, again where it was replaced; ``None`` where it is gone."""
    try:
        return until_fresh(look)
    except Corrupt as error:
        return Unreadable(folder, name, shown(error.cause))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        if error.errno in SET_APART:
            return Unreadable(folder, name, str(error.strerror))
        raise


def taken_in(names: Iterable[str], kind: str) -> list[str]:
    """Among what is in staging, the names of the things of a kind that calls took."""
    parts = sorted(name.split(".") for name in names if name.startswith(f"{_TAKEN}{kind}."))
    return [name for _, name, *_ in parts]


def is_resting(names: Iterable[str]) -> bool:
    """Whether a store with these names in its folder is in maintenance; the latest call says so."""
    return bool(latest := state_of(names)) and latest.partition(".")[0] == MAINTENANCE


def state_of(names: Iterable[str]) -> str:
    """The name that says the state of a store; empty in a store from before there was one."""
    states = [name for name in names if name.partition(".")[0] in {MAINTENANCE, WORKING}]
    return max(states, key=lambda name: (fence_in(name), name.startswith(MAINTENANCE)), default="")


def _made_in(client: Client, path: str, own: Own) -> int:
    """The fence of what was taken; 0 of what is gone or damaged."""
    try:
        return own(client, path)
    except (Corrupt, FileNotFoundError, Strange):
        return 0


def remove_tree(client: Client, path: str) -> None:
    """Remove whatever has a name, with all that is in it; what is gone already is fine."""
    with contextlib.suppress(FileNotFoundError):
        if not client.status(path).is_folder:
            client.unlink(path)
            return
        for name in client.entries(path):
            remove_tree(client, f"{path}/{name}")
        client.rmdir(path)


@contextlib.contextmanager
def after_the_fact(key: str = "") -> Iterator[None]:
    """For what follows a change that is made already: whatever the server says is ``Unknown``."""
    try:
        yield
    except OSError as error:
        raise Unknown(
            f"{error.filename}: {error.strerror}; what was asked for may be done", object=key
        ) from error


def published(client: Client, staged: str, final: str, key: str) -> None:
    """Make a finished file visible, in place of what has its name.

    Raises:
        Busy: another call removed the finished file; nothing was done.
    """
    try:
        client.rename(staged, final)
    except FileNotFoundError:
        raise Busy("another call is at work on this key; try again", object=key) from None


def decoded(client: Client, path: str, kind: type[S]) -> S | None:
    """The struct that a small JSON file holds; ``None`` where there is no such file."""
    try:
        # Nobody changes such a file: one that goes stale was replaced, or removed.
        data = until_fresh(lambda: client.read(path))
    except FileNotFoundError:
        return None
    except Strange as error:
        raise driver_error(error) from error
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Corrupt(f"{path} is damaged: {shown(str(error))}") from error


def again(look: Callable[[], T | None], key: str, what: str) -> T:
    """What ``look`` sees, looked at again when the file was replaced meanwhile."""
    result = until_fresh(look)
    if result is None:
        raise NotFound(f"there is no {what} under this key", object=key)
    return result


def check_path(path: str) -> None:
    """Refuse what no server takes for a path."""
    if len(path.encode()) > 1000:
        raise Invalid("settings `folder` and `namespace` make a path that is too long")
