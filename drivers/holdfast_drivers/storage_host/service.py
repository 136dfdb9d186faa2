"""A primary store's verbs as an agent on the storage host serves them. Blocking.

The caller gives ids with each call, so that this side needs no chance, and no clock either.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.contract import answers, requests
from holdfast.contract.answers import HealthInfo, ProbeResult, StoreState
from holdfast.contract.errors import NotFound, Unavailable
from holdfast.contract.requests import Request, verb_of
from holdfast.host_agent.service import Service, Verb
from holdfast_drivers.local.enumeration import owned_by_primary
from holdfast_drivers.local.errors import attempt
from holdfast_drivers.local.features import Features, find_features
from holdfast_drivers.local.folder_usage import health_of
from holdfast_drivers.local.lifecycle import StoreFolder
from holdfast_drivers.local.locks import SpaceTaken
from holdfast_drivers.local.probing import probe_primary
from holdfast_drivers.local.store_folder import Place
from holdfast_drivers.local.views import pools_of, snapshot_page, stats_of, volume_page
from holdfast_drivers.local.volumes import Volumes
from holdfast_drivers.storage_host.calls import (
    FEATURES,
    GET_STORE,
    PROBE,
    AgentCall,
    GrantHandle,
)


class VolumeServer(ABC):
    """What lets hosts use the volumes: the part that storage hosts do not have in common."""

    @abstractmethod
    def settle(self) -> None:
        """Let the server know what is granted, where it has forgotten; before every verb."""

    @abstractmethod
    def health(self) -> HealthInfo:
        """Whether the server serves."""

    @abstractmethod
    def open(self, request: requests.Open) -> GrantHandle:
        """The handle of a granted volume."""

    @abstractmethod
    def forget(self) -> None:
        """The store is given back: leave nothing of it with the server."""


class StoreService:
    """The verbs of one store."""

    def __init__(self, place: Place, volumes: Volumes, server: VolumeServer) -> None:
        self._place = place
        self._volumes = volumes
        self._server = server
        self._folder = StoreFolder(lambda: place, None)

    def service(self) -> Service:
        """What the agent serves."""
        verbs: dict[str, Callable[[AgentCall], object]] = {
            FEATURES: self._features,
            GET_STORE: lambda call: self._folder.get(call.fence),
            PROBE: self._probe,
            verb_of(requests.CheckHealth()): self._health,
        }
        for kind, verb in self._requests().items():
            verbs[str(kind.__struct_config__.tag)] = verb
        return {name: Verb(AgentCall, _typed(verb)) for name, verb in verbs.items()}

    def _requests(self) -> Mapping[type[Request], Callable[[AgentCall], object]]:
        volumes, folder = self._volumes, self._folder
        reading: dict[type[Request], Callable[[Any], object]] = {
            requests.ListPools: lambda _: pools_of(volumes),
            requests.GetStats: lambda asked: stats_of(volumes, asked),
            requests.GetVolume: volumes.get,
            requests.ListVolumes: lambda asked: volume_page(volumes, asked),
            requests.GetSnapshot: volumes.get_snapshot,
            requests.ListSnapshots: lambda asked: snapshot_page(volumes, asked),
            requests.Open: self._server.open,
            requests.EnumerateOwned: lambda _: list(owned_by_primary(volumes)),
        }
        ending: dict[type[Request], Callable[[Any, int], object]] = {
            requests.DeleteVolume: volumes.delete,
            requests.DeleteSnapshot: volumes.delete_snapshot,
            requests.Revoke: volumes.revoke,
            requests.AttachHost: lambda asked, fence: folder.attach(asked.host, fence),
            requests.DetachHost: lambda asked, fence: folder.detach(asked.host, fence),
            requests.MaintainStore: lambda _, fence: folder.set_state(
                StoreState.MAINTENANCE, fence
            ),
            requests.CancelMaintenance: lambda _, fence: folder.set_state(StoreState.UP, fence),
            requests.AdoptStore: folder.adopt,
            requests.DeleteStore: lambda _, fence: self._delete_store(fence),
        }
        making: dict[type[Request], Callable[[Any, str, str, int], object]] = {
            requests.CreateVolume: volumes.create,
            requests.ResizeVolume: lambda asked, _, fresh, fence: volumes.resize(
                asked, fresh, fence
            ),
            requests.RevertVolume: volumes.revert,
            requests.CreateSnapshot: volumes.create_snapshot,
            requests.Grant: volumes.grant,
            requests.InitializeStore: self._initialize,
        }
        return {
            **{kind: self._settled(_reading(verb)) for kind, verb in reading.items()},
            **{kind: self._settled(_ending(verb)) for kind, verb in ending.items()},
            **{kind: self._settled(_making(verb)) for kind, verb in making.items()},
        }

    def _settled(self, verb: Callable[[AgentCall], object]) -> Callable[[AgentCall], object]:
        def perform(call: AgentCall) -> object:
            self._recognize(call)
            self._server.settle()
            return verb(call)

        return perform

    def _recognize(self, call: AgentCall) -> None:
        """Refuse another store, before the server is told of what is granted in it."""
        if call.expected.identities:
            try:
                found = self._place.found().info()
            except NotFound as problem:
                raise call.expected.missing(problem) from problem
            call.expected.check(found)

    def _initialize(
        self, asked: requests.InitializeStore, operation: str, fresh: str, fence: int
    ) -> answers.StoreInfo:
        health = self._server.health()
        if health.state is answers.HealthState.DOWN:
            raise Unavailable(health.detail)
        return self._folder.initialize(asked, operation, fresh, fence)

    def _features(self, _: AgentCall) -> Features:
        return find_features(self._place.root, self._place.lock)

    def _probe(self, call: AgentCall) -> ProbeResult:
        assert call.request is not None
        self._recognize(call)
        self._server.settle()
        return probe_primary(self._volumes, call.operation, call.request, call.fence)

    def _health(self, call: AgentCall) -> HealthInfo:
        self._recognize(call)
        health = health_of(self._place)
        if health.state is answers.HealthState.DOWN:
            return health
        self._server.settle()
        return self._server.health()

    def _delete_store(self, fence: int) -> answers.Gone:
        gone = self._folder.delete(fence)
        self._server.forget()
        return gone


def _reading(verb: Callable[[Any], object]) -> Callable[[AgentCall], object]:
    return lambda call: verb(call.request)


def _ending(verb: Callable[[Any, int], object]) -> Callable[[AgentCall], object]:
    return lambda call: verb(call.request, call.fence)


def _making(verb: Callable[[Any, str, str, int], object]) -> Callable[[AgentCall], object]:
    return lambda call: verb(call.request, call.operation, call.fresh, call.fence)


def _typed(verb: Callable[[AgentCall], object]) -> Callable[[AgentCall], object]:
    """Let only driver errors out; ``None`` where space is being promised and the caller waits."""

    def perform(call: AgentCall) -> object:
        try:
            return attempt("", verb, call)
        except SpaceTaken:
            return None

    return perform
