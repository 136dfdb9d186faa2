"""Removes what killed processes left: containers, volumes, simulated hosts and folders."""

from typing import Any

import msgspec

from holdfast_drivers.servers.container_client import (
    LABEL_ADDRESS,
    LABEL_BACKEND,
    LABEL_OWNER,
    LABEL_RUN,
    docker_module,
    engine_client,
    found_container,
    is_absent,
)
from holdfast_drivers.servers.container_volumes import remove_volume, volume_owners
from holdfast_drivers.servers.network import NETWORK, host_records, remove_namespace
from holdfast_drivers.servers.owner_process import is_dead, machine_lock
from holdfast_drivers.servers.run_folders import sweep_run_folders


class RunningServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One container of this project; ``owned`` is false when nobody is left to remove it."""

    name: str
    backend: str
    run: str
    state: str
    address: str
    owned: bool


class Swept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was removed, by name."""

    containers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def running_servers() -> tuple[RunningServer, ...]:
    """Blocking: the containers of this project, in order of their names."""
    with engine_client() as client:
        servers = [_described(container) for container in _containers(client)]
    return tuple(sorted(servers, key=lambda server: server.name))


def sweep_dead() -> Swept:
    """Blocking: remove what belongs to processes that have ended."""
    return _sweep(every=False)


def sweep_all() -> Swept:
    """Blocking: remove every container and simulated host of this project, in use or not."""
    return _sweep(every=True)


def remove_network() -> None:
    """Blocking: remove the project's network; an absent one succeeds.

    Raises:
        EnvironmentUnavailable: something still uses it.
    """
    with engine_client() as client:
        for network in client.networks.list(names=[NETWORK]):
            if network.name == NETWORK:
                network.remove()


def remove_container(name: str) -> None:
    """Blocking: remove a container with its anonymous volumes; an absent one succeeds."""
    with engine_client() as client:
        container = found_container(client, name)
        if container is None:
            return
        try:
            container.remove(force=True, v=True)
        except docker_module().errors.APIError as error:
            if not is_absent(error) and "already in progress" not in str(error):
                raise


def _sweep(*, every: bool) -> Swept:
    with machine_lock("sweep"):
        return _sweep_alone(every=every)


def _sweep_alone(*, every: bool) -> Swept:
    with engine_client() as client:
        doomed = [_described(one) for one in _containers(client)]
    containers = [server.name for server in doomed if every or not server.owned]
    # Containers first: a volume that one of them uses cannot go.
    for name in containers:
        remove_container(name)
    for name, owner in volume_owners().items():
        if every or is_dead(owner):
            remove_volume(name)
    hosts = [one.namespace for one in host_records() if every or is_dead(one.owner)]
    for namespace in hosts:
        remove_namespace(namespace)
    folders = sweep_run_folders(every=every)
    return Swept(containers=tuple(containers), hosts=tuple(hosts), folders=folders)


def _containers(client: Any) -> list[Any]:
    containers: list[Any] = client.containers.list(
        all=True, filters={"label": LABEL_OWNER}, ignore_removed=True
    )
    return containers


def _described(container: Any) -> RunningServer:
    labels: dict[str, str] = container.labels
    return RunningServer(
        name=str(container.name),
        backend=labels.get(LABEL_BACKEND, ""),
        run=labels.get(LABEL_RUN, ""),
        state=str(container.status),
        address=labels.get(LABEL_ADDRESS, ""),
        owned=not is_dead(labels[LABEL_OWNER]),
    )
