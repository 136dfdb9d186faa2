"""The project's own bridge network, an address on it for every server, and simulated hosts on it.

Servers take addresses from the lower half of the subnet, simulated hosts from the upper half. Only
interfaces that were made here are ever touched.
"""

import hashlib
import ipaddress
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import EnvironmentUnavailable
from holdfast.contract.testbed import HostPlace
from holdfast_drivers.servers.container_client import LABEL_ADDRESS, engine_client
from holdfast_drivers.servers.owner_process import machine_lock, state_folder, this_owner

NETWORK = "holdfast"
BRIDGE = "holdfast0"
_CANDIDATES = tuple(ipaddress.IPv4Network(f"10.{second}.0.0/20") for second in range(231, 255))
_HOSTS = "hosts"
_COMMAND_S = 20
_NETNS = Path("/run/netns")


class HostRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One simulated host, as this machine's state folder knows it."""

    namespace: str
    link: str
    address: str
    owner: str
    run: str


def bridge_subnet(client: Any) -> ipaddress.IPv4Network:
    """Blocking: the subnet of the project's network, which is made on first use."""
    with machine_lock("network"):
        for network in client.networks.list(names=[NETWORK]):
            if network.name == NETWORK:
                return ipaddress.IPv4Network(_subnets(network)[0])
        return _make_network(client)


async def bridge_address() -> str:
    """The address of this machine itself on the project's network, where containers reach it."""

    def ask() -> str:
        with engine_client() as client:
            return str(bridge_subnet(client)[1])

    return await runtime().run_blocking(ask)


def _make_network(client: Any) -> ipaddress.IPv4Network:
    subnets = _routed_subnets()
    for network in client.networks.list():
        subnets += [ipaddress.ip_network(one) for one in _subnets(network)]
    free = next((one for one in _CANDIDATES if not _overlaps(one, subnets)), None)
    if free is None:
        raise EnvironmentUnavailable(
            f"no private subnet of {_CANDIDATES[0]} to {_CANDIDATES[-1]} is free for the network "
            f"{NETWORK}; make it yourself: docker network create {NETWORK} --subnet …"
        )
    client.networks.create(
        NETWORK,
        driver="bridge",
        ipam={"Config": [{"Subnet": str(free), "Gateway": str(free[1])}]},
        options={"com.docker.network.bridge.name": BRIDGE},
        labels={"holdfast.network": "1"},
    )
    return free


def _subnets(network: Any) -> list[str]:
    settings: dict[str, Any] = network.attrs.get("IPAM") or {}
    pools: list[dict[str, str]] = settings.get("Config") or []
    return [pool["Subnet"] for pool in pools if "Subnet" in pool]


def _overlaps(one: ipaddress.IPv4Network, subnets: Iterable[Any]) -> bool:
    return any(other.version == 4 and one.overlaps(other) for other in subnets)


def _routed_subnets() -> list[Any]:
    """What this machine routes already, the default route excepted."""
    subnets: list[Any] = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            parts = [
                ipaddress.IPv4Address(bytes.fromhex(text)[::-1]) for text in (destination, mask)
            ]
            subnets.append(ipaddress.IPv4Network(f"{parts[0]}/{parts[1]}"))
    return subnets


def free_server_address(client: Any, name: str) -> str:
    """Blocking, inside ``machine_lock("addresses")``: an address no other container has.

    The search starts at a place that follows from the name, so that an address is seldom reused.
    """
    subnet = bridge_subnet(client)
    used = {
        container.labels.get(LABEL_ADDRESS)
        for container in client.containers.list(
            all=True, filters={"label": LABEL_ADDRESS}, ignore_removed=True
        )
    }
    half = subnet.num_addresses // 2
    return _first_free(subnet, range(2, half), name, used)


def _first_free(
    subnet: ipaddress.IPv4Network, numbers: range, name: str, used: set[str | None]
) -> str:
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    for offset in range(len(numbers)):
        address = str(subnet[numbers[(start + offset) % len(numbers)]])
        if address not in used:
            return address
    raise EnvironmentUnavailable(
        f"all addresses of the network {NETWORK} are in use; run: holdfast backends down"
    )


def namespace_of(host: str, run: str) -> str:
    """The name of a simulated host's network namespace."""
    return f"holdfast-{run}-{host}"


async def host_place(host: str, run: str) -> HostPlace:
    """A network namespace with an address of its own on the project's bridge, for one host.

    One that is there already is used again. Needs root and the ``ip`` command.

    Raises:
        EnvironmentUnavailable: not root, no ``ip``, or the kernel refused.
    """
    return await runtime().run_blocking(_make_host, host, run)


async def remove_host_place(host: str, run: str) -> None:
    """Remove a simulated host; an absent one succeeds."""
    await runtime().run_blocking(remove_namespace, namespace_of(host, run))


@asynccontextmanager
async def host_places(hosts: Iterable[str], run: str) -> AsyncIterator[dict[str, HostPlace]]:
    """The places of several simulated hosts, removed at the end."""
    names = tuple(hosts)
    try:
        yield {host: await host_place(host, run) for host in names}
    finally:
        await runtime().drained()
        for host in names:
            await remove_host_place(host, run)


def host_obstacle() -> str:
    """Why simulated hosts cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "simulated hosts need root for network namespaces; run as root"
    if shutil.which("ip") is None:
        return "simulated hosts need the ip command; install it: apt-get install iproute2"
    return ""


def host_records() -> tuple[HostRecord, ...]:
    """The simulated hosts of this machine."""
    records: list[HostRecord] = []
    for path in sorted(state_folder(_HOSTS).glob("*.json")):
        try:
            records.append(msgspec.json.decode(path.read_bytes(), type=HostRecord))
        except (FileNotFoundError, msgspec.DecodeError):
            continue  # Removed meanwhile, or cut short by a crash before anything was made.
    return tuple(records)


def remove_namespace(namespace: str) -> None:
    """Blocking: remove one simulated host's namespace and link, and what is known of it."""
    with machine_lock("hosts"):
        # The link first: the kernel takes a namespace's links away only some time after it is gone.
        link = link_name(namespace)
        if Path("/sys/class/net", link).exists():
            _ip("link", "delete", link)
        if (_NETNS / namespace).exists():
            _ip("netns", "delete", namespace)
        _record_path(namespace).unlink(missing_ok=True)


def link_name(namespace: str) -> str:
    """The name of the bridge's end of a simulated host's link: at most 15 characters."""
    return "hfh" + hashlib.sha256(namespace.encode()).hexdigest()[:10]


def _record_path(namespace: str) -> Path:
    return state_folder(_HOSTS) / f"{namespace}.json"


def _make_host(host: str, run: str) -> HostPlace:
    if obstacle := host_obstacle():
        raise EnvironmentUnavailable(obstacle)
    namespace = namespace_of(host, run)
    with engine_client() as client:
        subnet = bridge_subnet(client)
    with machine_lock("hosts"):
        known = {record.namespace: record for record in host_records()}
        record = known.get(namespace)
        if record is not None and (_NETNS / namespace).exists():
            return HostPlace(network_namespace=namespace, address=record.address)
        used: set[str | None] = {one.address for one in known.values()}
        numbers = range(subnet.num_addresses // 2, subnet.num_addresses - 1)
        record = HostRecord(
            namespace=namespace,
            link=link_name(namespace),
            address=_first_free(subnet, numbers, namespace, used),
            owner=this_owner(),
            run=run,
        )
        _record_path(namespace).write_bytes(msgspec.json.encode(record))
        _join(record, subnet)
    return HostPlace(network_namespace=namespace, address=record.address)


def _join(record: HostRecord, subnet: ipaddress.IPv4Network) -> None:
    """Make the namespace and tie it to the bridge; each name was made up here."""
    inside = "eth0"
    _ip("netns", "add", record.namespace)
    _ip(
        "link",
        "add",
        record.link,
        "type",
        "veth",
        "peer",
        "name",
        inside,
        "netns",
        record.namespace,
    )
    _ip("link", "set", record.link, "master", bridge_link(), "up")
    within = ("-n", record.namespace)
    _ip(*within, "address", "add", f"{record.address}/{subnet.prefixlen}", "dev", inside)
    _ip(*within, "link", "set", inside, "up")
    _ip(*within, "link", "set", "lo", "up")


def bridge_link() -> str:
    """Blocking: the bridge's interface, checked to be the network's own."""
    with engine_client() as client:
        network = client.networks.get(NETWORK)
        options: dict[str, str] = network.attrs.get("Options") or {}
        link = options.get("com.docker.network.bridge.name") or f"br-{network.id[:12]}"
    if not Path("/sys/class/net", link, "bridge").is_dir():
        raise EnvironmentUnavailable(
            f"the bridge {link} of the network {NETWORK} is not on this machine; "
            "simulated hosts need an engine that runs here"
        )
    return link


def _ip(*arguments: str) -> None:
    command = ["ip", *arguments]
    result = subprocess.run(  # noqa: S603 - a fixed program and names made up here
        command, capture_output=True, text=True, timeout=_COMMAND_S, check=False
    )
    if result.returncode != 0:
        raise EnvironmentUnavailable(f"{' '.join(command)} failed: {result.stderr.strip()}")
