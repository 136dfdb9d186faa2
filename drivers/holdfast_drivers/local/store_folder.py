"""The folder of one store: where things are, what state it is in, and who works in it.

<root>/<namespace>/<role>/
    store.json      name, id, state and attached hosts
    store.spare     takes the place of that at the next change, so that it needs no space then
    lock            see :mod:`holdfast_drivers.local.locks`
    fences          see :mod:`holdfast_drivers.local.fences`
    volumes/        a folder for each; so in snapshots/, objects/ and uploads/
    grants/         one more name of a volume's file for each grant
    staging/        what is not finished, or not gone yet
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.contract.answers import StoreInfo, StoreState
from holdfast.contract.errors import (
    Corrupt,
    DriverError,
    Invalid,
    NotFound,
    Unavailable,
)
from holdfast.contract.identity import ANY_STORE
from holdfast.contract.requests import KEY_MAX_BYTES, Role
from holdfast.files.trees import Strange, TreePath
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.fences import Fences
from holdfast_drivers.local.locks import STORE_ALONE, STORE_SHARED, Lock, Locks, open_locks
from holdfast_drivers.local.names import name_of
from holdfast_drivers.local.records import decoded, replaced
from holdfast_drivers.refusals import refuse_in_maintenance
from holdfast_drivers.reported import store_info


class StoreRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``store.json`` says."""

    id: str
    name: str
    state: StoreState = StoreState.UP
    hosts: tuple[str, ...] = ()
    operation: str
    identity: str = ""

    def info(self) -> StoreInfo:
        """What is reported of the store."""
        return store_info(self)


class Place:
    """The folder of one store, bound to its configuration.

    ``expected`` is the store that the folder must be: another may be mounted there at any time.

    Raises:
        Invalid: the configuration names no place that could ever be a store.
    """

    def __init__(self, config: LocalConfig, role: Role) -> None:
        self.expected = ANY_STORE
        self.root = Path(config.root)
        self.role = role
        self.capacity_bytes = config.capacity_bytes
        if "\0" in config.root or not self.root.is_absolute():
            raise Invalid(f"root {config.root!r} is no absolute path")
        if not 1 <= len(config.namespace.encode()) <= KEY_MAX_BYTES:
            raise Invalid(f"the namespace must have 1 to {KEY_MAX_BYTES} bytes")
        if config.capacity_bytes is not None and config.capacity_bytes <= 0:
            raise Invalid(f"a capacity of {config.capacity_bytes} bytes holds nothing")
        self.namespace = TreePath(self.root) / name_of(config.namespace)
        self.folder = self.namespace / role.value
        self.staging = self.folder / "staging"
        self.grants = self.folder / "grants"
        self.lock = self.folder / "lock"
        self.fences = Fences(self.folder, self.staging)

    def row(self) -> StoreRow:
        """The state now of the store that is expected here.

        Raises:
            NotFound: the folder is reachable, and it is no store.
            Precondition: it is another store than the one expected, or none.
            Unavailable: the folder cannot be reached.
            Corrupt: ``store.json`` is damaged or lost.
        """
        row = self.found()
        self.expected.check(row.info())
        return row

    def found(self) -> StoreRow:
        """The state of whatever store is here; as ``row``."""
        try:
            data = (self.folder / "store.json").read_bytes()
        except OSError as error:
            raise self.absent(error) from error
        return decoded(self.folder / "store.json", data, StoreRow)

    def absent(self, error: OSError) -> DriverError:
        """What it means that something of the store itself could not be opened."""
        if isinstance(error, Strange | NotADirectoryError) and self.root.is_dir():
            return Corrupt(f"{error.filename}: {error.strerror}")
        if isinstance(error, FileNotFoundError) and self.root.is_dir():
            if self.folder.is_dir():
                return Corrupt(f"{error.filename} is lost; restore it from a backup")
            return self.expected.missing(
                NotFound(f"there is no {self.role} store in {self.folder}; initialize it first")
            )
        return Unavailable(f"{self.root} cannot be reached: {error.strerror}")

    def allocating(self) -> StoreRow:
        """The store's state, for a new allocation; ``Precondition`` in maintenance."""
        row = self.row()
        refuse_in_maintenance(row)
        return row

    def replace(self, row: StoreRow) -> StoreRow:
        """Make this the store's state, durably."""
        replaced(self.folder, "store", msgspec.json.encode(row))
        return row

    @contextlib.contextmanager
    def acting(self, fence: int) -> Iterator[None]:
        """Hold the store alone, for a call that changes the store itself, unless it is late."""
        with (
            self.locked(store=STORE_ALONE) as held,
            self.fences.turn(held, STORE_ALONE, fence, frees=True),
        ):
            yield

    @contextlib.contextmanager
    def locked(self, *locks: Lock, store: Lock = STORE_SHARED) -> Iterator[Locks]:
        """Hold the store's lock and these, all taken at once or ``Busy``."""
        try:
            context = open_locks(self.lock)
            held = context.__enter__()
        except OSError as error:
            raise self.absent(error) from error
        with contextlib.ExitStack() as stack:
            stack.push(context)
            for lock in (store, *locks):
                held.take(lock)
            if self.expected.identities:
                self.row()
            yield held
