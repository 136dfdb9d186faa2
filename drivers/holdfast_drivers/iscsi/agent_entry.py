"""The agent's entry on the storage host: volumes as files, served by tgt."""

import contextlib
from typing import Final

import msgspec

from holdfast.contract.answers import HealthInfo, HealthState
from holdfast.host_agent.service import Service
from holdfast_drivers.iscsi.config import HostConfig
from holdfast_drivers.iscsi.grant_targets import LUN, GrantRecord, MutualAccount, TgtKeeper
from holdfast_drivers.iscsi.names import initiator_name, marker_name
from holdfast_drivers.iscsi.tgt import Tgt, TgtRefused, TgtUnreachable, number_of
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.storage_host.grant_replay import Granted, ReplayedServer
from holdfast_drivers.storage_host.service import StoreService

ENTRY: Final = "holdfast_drivers.iscsi.agent_entry:entry"
GRANTED: Final = "granted"
"""What a handle names in the place of a secret; the host has that from its grant."""


def entry(config: bytes) -> Service:
    """The verbs of one store, from a ``HostConfig`` in MessagePack."""
    settings = msgspec.msgpack.decode(config, type=HostConfig)
    place = settings.place()
    mutual = MutualAccount(user=settings.mutual_user, secret=settings.mutual_secret)
    server = TgtServer(place, Tgt(settings.tgt_socket), mutual, settings.portal)
    return StoreService(place, server.volumes, server).service()


class TgtServer(ReplayedServer[GrantRecord]):
    """tgt, as far as it serves one store.

    Args:
        place: the store's folder.
        tgt: by its socket.
        mutual: what targets prove themselves with.
        portal: where hosts reach tgt.
    """

    def __init__(self, place: Place, tgt: Tgt, mutual: MutualAccount, portal: str) -> None:
        keeper = TgtKeeper(place, tgt, mutual)
        super().__init__(place, Volumes(place, keeper), keeper)
        self._tgt = tgt
        self._portal = portal
        self._marker = marker_name(str(place.folder))

    def settle(self) -> None:
        with contextlib.suppress(TgtUnreachable, TgtRefused):
            super().settle()

    def untold(self) -> str:
        return "" if self._tgt.has_target(number_of(self._marker)) else self._marker

    def remember(self, life: str) -> None:
        self._tgt.new_target(number_of(life), life, ())

    def health(self) -> HealthInfo:
        if self._tgt.is_ready():
            return HealthInfo(state=HealthState.UP)
        return HealthInfo(
            state=HealthState.DOWN,
            dependency="tgt",
            detail="tgt does not answer on its socket (setting tgt_socket)",
        )

    def node(self, granted: Granted[GrantRecord], host: str) -> dict[str, object]:
        node: dict[str, object] = {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": self._portal,
            "target": granted.record.target,
            "lun": LUN,
            "initiator-name": initiator_name(host),
        }
        if granted.record.secret:
            node |= {"user": granted.name.id, "password-secret": GRANTED}
        return node

    def forget(self) -> None:
        with contextlib.suppress(TgtUnreachable):
            self._tgt.delete_target(number_of(self._marker))
