"""The agent's entry on the storage host: volumes as files, served by nfs-ganesha."""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from holdfast.contract.answers import HealthInfo, HealthState
from holdfast.contract.errors import Invalid
from holdfast.data import qemu_img
from holdfast.data.disk_images import ImageFormat
from holdfast.host_agent.service import Service
from holdfast_drivers.local.errors import FULL
from holdfast_drivers.local.records import note, noted
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.nfs.ganesha import Ganesha
from holdfast_drivers.nfs.grant_exports import PSEUDO, VOLUME, GaneshaKeeper, GrantRecord
from holdfast_drivers.nfs.primary_config import HostConfig
from holdfast_drivers.storage_host.grant_replay import Granted, ReplayedServer
from holdfast_drivers.storage_host.service import StoreService

ENTRY: Final = "holdfast_drivers.nfs.agent_entry:entry"


def entry(config: bytes) -> Service:
    """The verbs of one store, from a ``HostConfig`` in MessagePack."""
    settings = msgspec.msgpack.decode(config, type=HostConfig)
    place = settings.place()
    if not Path(settings.exports_folder).is_dir():
        raise Invalid(
            f"setting `exports_folder`: there is no folder {settings.exports_folder} there"
        )
    if settings.format is ImageFormat.QCOW2 and not qemu_img.is_installed():
        raise Invalid(
            f"setting `format`: qcow2 needs {qemu_img.PROGRAM} on the storage host; install "
            f"{qemu_img.PACKAGE} there"
        )
    server = GaneshaServer(place, settings)
    return StoreService(place, server.volumes, server).service()


class GaneshaServer(ReplayedServer[GrantRecord]):
    """nfs-ganesha, as far as it serves one store."""

    def __init__(self, place: Place, settings: HostConfig) -> None:
        self._ganesha = Ganesha(Path(settings.pid_file))
        keeper = GaneshaKeeper(place, self._ganesha, Path(settings.exports_folder), settings.hosts)
        super().__init__(place, Volumes(place, keeper, settings.format), keeper)
        self._server = settings.server
        self._marker = place.folder / "served" / "by"

    def untold(self) -> str:
        life = self._ganesha.instance()
        if not life or not self._marker.parent.is_dir():
            return ""
        with contextlib.suppress(FileNotFoundError):
            if noted(self._marker) == life:
                return ""
        return life

    def remember(self, life: str) -> None:
        try:
            note(self._marker, life)
        except OSError as error:
            if error.errno not in FULL:
                raise
            # On a full disk the next verb replays the grants, too: that costs nothing but time.

    def health(self) -> HealthInfo:
        if self._ganesha.instance() and self._ganesha.is_ready():
            return HealthInfo(state=HealthState.UP)
        return HealthInfo(
            state=HealthState.DOWN,
            dependency="nfs-ganesha",
            detail="nfs-ganesha does not answer (setting `pid_file`, and the host's D-Bus)",
        )

    def node(self, granted: Granted[GrantRecord], host: str) -> dict[str, object]:
        # The format is named, and a backing file ruled out: nothing that is in the file is asked.
        node: dict[str, object] = {
            "driver": granted.row.format.value,
            "file": {
                "driver": "nfs",
                "server": {"type": "inet", "host": self._server},
                "path": f"{PSEUDO}/{granted.name.id}/{VOLUME}",
                "user": 0,
                "group": 0,
            },
        }
        if granted.row.format is ImageFormat.QCOW2:
            node["backing"] = None
        return node

    def forget(self) -> None:
        """Without grants nothing of the store is with ganesha."""
