"""The hosts' side of the backend under test: the data plane, told what each step does to grants."""

import asyncio

from holdfast.contract import requests
from holdfast.contract.capabilities import Enforcer
from holdfast.contract.ports import PrimaryDriver
from holdfast.data.current_plane import HostPlane


class Hosts:
    """The hosts of one testbed.

    Args:
        plane: with a storage daemon per host; ``None`` where handles need none.
    """

    def __init__(self, plane: HostPlane | None = None) -> None:
        self._plane = plane

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The tasks of the hosts themselves, which are not left by a driver."""
        return frozenset() if self._plane is None else self._plane.tasks

    @property
    def processes(self) -> frozenset[int]:
        """The daemons of the hosts, which may be replaced in the middle of a plan."""
        return frozenset() if self._plane is None else self._plane.processes

    async def granted(self, step: requests.Grant) -> None:
        """A host was granted a volume, with the secret in the step."""
        if self._plane is not None:
            await self._plane.granted(step.host, step.volume, step.secret)

    async def revoked(self, step: requests.Revoke, driver: PrimaryDriver) -> None:
        """A host's grant was taken back.

        Where the consumer enforces that, we are the consumer. Where the storage does, the host
        stays attached, so that the next step can show that the storage refuses it.
        """
        if self._plane is None:
            return
        if driver.capabilities.access.enforced_at is Enforcer.CONSUMER:
            await self._plane.revoke(step.host, step.volume)
        else:
            self._plane.grant_ended(step.host, step.volume)

    async def recover(self) -> None:
        """The backend is back: begin anew with it, as a host does after a long outage."""
        if self._plane is not None:
            await self._plane.detach_all()

    async def let_go(self) -> None:
        """Detach everything: the namespace it belongs to is about to go."""
        if self._plane is not None:
            await self._plane.let_go()
