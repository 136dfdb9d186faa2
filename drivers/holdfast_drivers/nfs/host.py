"""The agent's entry on the storage host: volumes as files, served by nfs-ganesha."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from holdfast import files, requests
from holdfast.capabilities import AccessMode
from holdfast.data import qemu_img
from holdfast.data.images import ImageFormat
from holdfast.errors import Busy, Denied, DriverError, Invalid
from holdfast.handles import BlockNodeHandle
from holdfast.infos import HealthInfo, HealthState
from holdfast.remote.service import Service
from holdfast.requests import Role
from holdfast_drivers.local import disks
from holdfast_drivers.local.config import LocalConfig
from holdfast_drivers.local.grants import GrantName
from holdfast_drivers.local.locks import Lock, LockKind
from holdfast_drivers.local.place import Place
from holdfast_drivers.local.served import ServedStore, Server
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.nfs.ganesha import Ganesha
from holdfast_drivers.nfs.keeper import PSEUDO, VOLUME, GaneshaKeeper
from holdfast_drivers.nfs.primary_config import HostConfig

ENTRY: Final = "holdfast_drivers.nfs.host:entry"


def entry(config: bytes) -> Service:
    """The verbs of one store, from a ``HostConfig`` in MessagePack."""
    told = msgspec.msgpack.decode(config, type=HostConfig)
    place = Place(
        LocalConfig(root=told.root, namespace=told.namespace, capacity_bytes=told.capacity_bytes),
        Role.PRIMARY,
    )
    if not Path(told.exports_folder).is_dir():
        raise Invalid(f"setting `exports_folder`: there is no folder {told.exports_folder} there")
    if told.format is ImageFormat.QCOW2 and not qemu_img.is_installed():
        raise Invalid(
            f"setting `format`: qcow2 needs {qemu_img.PROGRAM} on the storage host; install "
            f"{qemu_img.PACKAGE} there"
        )
    server = GaneshaServer(place, told)
    return ServedStore(place, server.volumes, server).service()


class GaneshaServer(Server):
    """nfs-ganesha, as far as it serves one store."""

    def __init__(self, place: Place, told: HostConfig) -> None:
        self._ganesha = Ganesha(Path(told.pid_file))
        self.keeper = GaneshaKeeper(place, self._ganesha, Path(told.exports_folder), told.hosts)
        self.volumes = Volumes(place, self.keeper, told.format)
        self._place = place
        self._server = told.server
        self._marker = place.folder / "served" / "by"

    def settle(self) -> None:
        """Serve all grants again where ganesha has been started anew: it may not have read them.

        What cannot be served now is tried again by the next verb; a verb that needs it says so.
        """
        instance = self._ganesha.instance()
        if not instance or not self._marker.parent.is_dir() or self._knows(instance):
            return
        with self._alone():
            if not self._knows(instance) and self._replay():
                with contextlib.suppress(FileNotFoundError):
                    files.unlink(self._marker)
                files.write_new(self._marker, instance.encode())

    def _knows(self, instance: str) -> bool:
        try:
            return self._marker.read_text(encoding="ascii") == instance
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One replay at a time."""
        fd = os.open(self._place.grants, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _replay(self) -> bool:
        """Serve every grant; whether each could be tried."""
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
        if self._ganesha.instance() and self._ganesha.is_ready():
            return HealthInfo(state=HealthState.UP)
        return HealthInfo(
            state=HealthState.DOWN,
            dependency="nfs-ganesha",
            detail="nfs-ganesha does not answer (setting `pid_file`, and the host's D-Bus)",
        )

    def open(self, request: requests.Open) -> BlockNodeHandle:
        self._place.row()
        shelf = self.volumes.volumes
        row = shelf.get(request.volume)
        data = shelf.data(row)
        granted = self.volumes.grants.find(request.volume, request.host)
        if granted is None:
            raise Denied(
                f"host {request.host} has no grant; grant the volume first", object=request.volume
            )
        if not self.keeper.is_admitted(granted, data):
            with self._place.locked(shelf.lock(request.volume)):
                self._admit(granted, request.volume)
        disks.check(row, data)
        # The format is named, and a backing file ruled out: nothing that is in the file is asked.
        node: dict[str, object] = {
            "driver": row.format.value,
            "file": {
                "driver": "nfs",
                "server": {"type": "inet", "host": self._server},
                "path": f"{PSEUDO}/{granted.id}/{VOLUME}",
                "user": 0,
                "group": 0,
            },
        }
        if row.format is ImageFormat.QCOW2:
            node["backing"] = None
        return BlockNodeHandle(
            blockdev=msgspec.json.encode(node).decode(),
            size_bytes=disks.size_of(row, data),
            read_only=granted.mode is AccessMode.READ_ONLY,
            host=request.host,
            volume=request.volume,
        )

    def forget(self) -> None:
        """Without grants nothing of the store is with ganesha."""
