"""A server that forgets what is granted when it ends, and is told again. Blocking functions."""

import contextlib
import fcntl
import os
from abc import abstractmethod
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import msgspec

from holdfast.contract import requests
from holdfast.contract.capabilities import AccessMode
from holdfast.contract.errors import Busy, Corrupt, Denied, DriverError
from holdfast.contract.handles import BlockNodeHandle
from holdfast.files.trees import TreePath
from holdfast_drivers.local import disks
from holdfast_drivers.local.grants import GrantKeeper, GrantName, host_name
from holdfast_drivers.local.locks import Lock, LockKind
from holdfast_drivers.local.names import name_of
from holdfast_drivers.local.records import decoded
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.volumes import VolumeRow, Volumes
from holdfast_drivers.storage_host.service import VolumeServer


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded under a grant's name; servers add to it."""

    volume: str
    host: str


K = TypeVar("K", bound=Record)


class RecordKeeper(GrantKeeper, Generic[K]):
    """Keeps a record of each grant, besides telling the server."""

    @abstractmethod
    def read(self, granted: GrantName) -> K | None:
        """What is recorded of a grant; ``None`` where it is gone.

        Raises:
            Corrupt: it is damaged, or the record of another grant.
        """


def recorded(granted: GrantName, kind: type[K]) -> K | None:
    """What is under a grant's name; ``None`` where it is gone."""
    try:
        record = decoded(granted.path, granted.path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    if (name_of(record.volume), host_name(record.host)) != (granted.volume, granted.host):
        raise Corrupt(f"{granted.path} is the record of another grant; revoke this one")
    return record


class Granted(NamedTuple, Generic[K]):
    """A volume that a host may open."""

    row: VolumeRow
    data: TreePath
    name: GrantName
    record: K


class ReplayedServer(VolumeServer, Generic[K]):
    """What servers have in common that must be told of all grants whenever they start.

    Args:
        place: the store's folder.
        volumes: of the store.
        keeper: of its grants.
    """

    def __init__(self, place: Place, volumes: Volumes, keeper: RecordKeeper[K]) -> None:
        self.volumes = volumes
        self.keeper = keeper
        self._place = place

    @abstractmethod
    def untold(self) -> str:
        """Names the life of the server that was not told yet; empty where there is none."""

    @abstractmethod
    def remember(self, life: str) -> None:
        """Note that a life of the server knows all grants."""

    @abstractmethod
    def node(self, granted: Granted[K], host: str) -> dict[str, object]:
        """The block node by which a host reaches a volume; its format is named in it."""

    def settle(self) -> None:
        """Replay all grants where the server was not told yet.

        What cannot be replayed now is tried again by the next verb; a verb that needs it says so.
        """
        if not self._place.grants.is_dir() or not self.untold():
            return
        with self._alone():
            life = self.untold()
            if life and self._replay():
                self.remember(life)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One replay at a time."""
        fd = self._place.grants.open(os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _replay(self) -> bool:
        """Admit every host that has a grant; whether each could be tried."""
        complete = True
        for granted in self.volumes.grants.all():
            try:
                self._admit_again(granted)
            except Busy:  # whoever is at work may be letting the host in, or keeping it out
                complete = False
            except (DriverError, OSError):
                continue  # opening this grant says what is wrong with it
        return complete

    def _admit_again(self, granted: GrantName) -> None:
        record = self.keeper.read(granted)
        if record is None:
            return
        with self._place.locked(Lock(LockKind.VOLUME, record.volume, shared=True)):
            if granted.path.exists():
                self._admit(granted, record.volume)

    def _admit(self, granted: GrantName, volume: str) -> None:
        shelf = self.volumes.volumes
        self.keeper.admit(granted, shelf.data(shelf.get(volume)))

    def open(self, request: requests.Open) -> BlockNodeHandle:
        granted = self._granted(request)
        return BlockNodeHandle(
            blockdev=msgspec.json.encode(self.node(granted, request.host)).decode(),
            size_bytes=disks.size_of(granted.row, granted.data),
            read_only=granted.name.mode is AccessMode.READ_ONLY,
            host=request.host,
            volume=request.volume,
        )

    def _granted(self, request: requests.Open) -> Granted[K]:
        """The volume, and the grant under which the host is let in now."""
        self._place.row()
        shelf = self.volumes.volumes
        row = shelf.get(request.volume)
        data = shelf.data(row)
        name = self.volumes.grants.find(request.volume, request.host)
        record = self.keeper.read(name) if name is not None else None
        if name is None or record is None:
            raise Denied(
                f"host {request.host} has no grant; grant the volume first", object=request.volume
            )
        if not self.keeper.is_admitted(name, data):
            with self._place.locked(shelf.lock(request.volume)):
                if not name.path.exists():
                    raise Denied("the grant was taken back", object=request.volume)
                self._admit(name, request.volume)
        disks.check(row, data)
        return Granted(row, data, name, record)
