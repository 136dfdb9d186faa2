"""The agent's entry on the storage host: volumes as files, served by tgt."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Final

import msgspec

from holdfast import requests
from holdfast.capabilities import AccessMode
from holdfast.errors import Busy, Denied, DriverError
from holdfast.handles import BlockNodeHandle
from holdfast.infos import HealthInfo, HealthState
from holdfast.remote.service import Service
from holdfast.requests import Role
from holdfast_drivers.iscsi.config import HostConfig
from holdfast_drivers.iscsi.keeper import LUN, MutualAccount, TgtKeeper
from holdfast_drivers.iscsi.names import initiator_name, marker_name
from holdfast_drivers.iscsi.tgt import Tgt, TgtRefused, TgtUnreachable, number_of
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.locks import Lock, LockKind
from holdfast_drivers.local.place import Place
from holdfast_drivers.local.served import ServedStore, Server
from holdfast_drivers.local.volumes import Volumes

ENTRY: Final = "holdfast_drivers.iscsi.host:entry"
GRANTED: Final = "granted"
"""What a handle names in the place of a secret; the host has that from its grant."""


def entry(config: bytes) -> Service:
    """The verbs of one store, from a ``HostConfig`` in MessagePack."""
    told = msgspec.msgpack.decode(config, type=HostConfig)
    place = Place(
        LocalConfig(root=told.root, namespace=told.namespace, capacity_bytes=told.capacity_bytes),
        Role.PRIMARY,
    )
    mutual = MutualAccount(user=told.mutual_user, secret=told.mutual_secret)
    server = TgtServer(place, Tgt(told.tgt_socket), mutual, told.portal)
    return ServedStore(place, server.volumes, server).service()


class TgtServer(Server):
    """tgt, as far as it serves one store.

    Args:
        place: the store's folder.
        tgt: by its socket.
        mutual: what targets prove themselves with.
        portal: where hosts reach tgt.
    """

    def __init__(self, place: Place, tgt: Tgt, mutual: MutualAccount, portal: str) -> None:
        self.keeper = TgtKeeper(place, tgt, mutual)
        self.volumes = Volumes(place, self.keeper)
        self._place = place
        self._tgt = tgt
        self._portal = portal
        self._marker = marker_name(str(place.folder))

    def settle(self) -> None:
        """Replay all grants where tgt has ended since: a marker says that it knows them.

        What cannot be replayed now is tried again by the next verb; a verb that needs it says so.
        """
        with contextlib.suppress(TgtUnreachable, TgtRefused):
            if self._knows():
                return
            with self._alone():
                if not self._knows() and self._replay():
                    self._tgt.new_target(number_of(self._marker), self._marker, ())

    def _knows(self) -> bool:
        return self._tgt.has_target(number_of(self._marker))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One replay at a time."""
        try:
            fd = os.open(self._place.grants, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise TgtRefused(0, "replay grants of no store") from None
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

    def health(self) -> HealthInfo:
        if self._tgt.is_ready():
            return HealthInfo(state=HealthState.UP)
        return HealthInfo(
            state=HealthState.DOWN,
            dependency="tgt",
            detail="tgt does not answer on its socket (setting tgt_socket)",
        )

    def open(self, request: requests.Open) -> BlockNodeHandle:
        self._place.row()
        shelf = self.volumes.volumes
        data = shelf.data(shelf.get(request.volume))
        granted = self.volumes.grants.find(request.volume, request.host)
        record = self.keeper.read(granted) if granted is not None else None
        if granted is None or record is None:
            raise Denied(
                f"host {request.host} has no grant; grant the volume first", object=request.volume
            )
        if not self.keeper.is_admitted(granted, data):
            with self._place.locked(shelf.lock(request.volume)):
                self._admit(granted, request.volume)
        node: dict[str, object] = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": self._portal,
            "target": record.target,
            "lun": LUN,
            "initiator-name": initiator_name(request.host),
        }
        if record.secret:
            node |= {"user": granted.id, "password-secret": GRANTED}
        return BlockNodeHandle(
            blockdev=msgspec.json.encode(node).decode(),
            size_bytes=data.stat().st_size,
            read_only=granted.mode is AccessMode.READ_ONLY,
            host=request.host,
            volume=request.volume,
        )

    def forget(self) -> None:
        with contextlib.suppress(TgtUnreachable):
            self._tgt.delete_target(number_of(self._marker))
