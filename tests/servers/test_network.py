"""The project's network and simulated hosts on it, on a real engine."""

import asyncio
import ipaddress
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast_drivers.servers.container_client import (
    LABEL_ADDRESS,
    LABEL_OWNER,
    LABEL_RUN,
    engine_client,
)
from holdfast_drivers.servers.network import (
    bridge_subnet,
    free_server_address,
    host_place,
    host_places,
    host_records,
    link_name,
    namespace_of,
    remove_host_place,
)
from holdfast_drivers.servers.owner_process import this_owner
from holdfast_drivers.servers.running_servers import run_server
from tiny_server import GREETING, greets, tiny

pytestmark = pytest.mark.slow
LOOKS = 100

ASK = (
    "import socket, sys; client = socket.create_connection((sys.argv[1], 80), 5); "
    "print(client.getsockname()[0], client.recv(99))"
)


def inside(namespace: str, *command: str) -> str:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, *command], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_servers_of_one_machine_never_share_an_address(run: str) -> None:
    """Servers that are started at once have addresses of their own, in the project's subnet."""

    async def story() -> list[str]:
        async with (
            run_server(tiny("one"), run, greets) as one,
            run_server(tiny("two"), run, greets) as two,
            run_server(tiny("three"), run, greets) as three,
        ):
            return [one.address, two.address, three.address]

    addresses = asyncio.run(story())

    with engine_client() as client:
        subnet = bridge_subnet(client)
    assert len(set(addresses)) == 3
    assert all(ipaddress.IPv4Address(address) in subnet for address in addresses)
    assert subnet.is_private


def test_an_address_is_found_while_other_servers_go(run: str) -> None:
    """A container that is removed while all are looked at is in nobody's way."""
    labels = {LABEL_ADDRESS: "none", LABEL_RUN: run, LABEL_OWNER: this_owner()}

    def come_and_go(image: object, ended: threading.Event) -> None:
        with engine_client() as client:
            while not ended.is_set():
                passing = [client.containers.create(image, labels=labels) for _ in range(3)]
                for container in passing:
                    container.remove()

    async def story() -> bool:
        async with run_server(tiny(), run, greets) as server:
            ended = threading.Event()
            with engine_client() as client, ThreadPoolExecutor() as beside:
                image = client.containers.get(server.name).image
                others = beside.submit(come_and_go, image, ended)
                try:
                    found = {free_server_address(client, server.name) for _ in range(LOOKS)}
                finally:
                    ended.set()
                others.result()
            return server.address in found

    assert not asyncio.run(story())


def test_a_simulated_host_reaches_a_server_from_an_address_of_its_own(host_run: str) -> None:
    """Two hosts reach one server, each from its own address and not from this machine's."""

    async def story() -> tuple[list[str], list[str]]:
        async with (
            run_server(tiny(), host_run, greets) as server,
            host_places(("host-a", "host-b"), host_run) as places,
        ):
            said = [
                inside(place.network_namespace, "python3", "-c", ASK, server.address).strip()
                for place in places.values()
            ]
            return said, [f"{place.address} {GREETING!r}" for place in places.values()]

    said, expected = asyncio.run(story())

    assert said == expected
    assert len(set(said)) == 2


def test_a_simulated_host_leaves_nothing_behind(host_run: str) -> None:
    """After its removal there is no namespace, no link and no record; a second removal is fine."""
    namespace = namespace_of("host-a", host_run)

    link = Path("/sys/class/net", link_name(namespace))

    async def make() -> bool:
        place = await host_place("host-a", host_run)
        return place == await host_place("host-a", host_run)

    async def remove() -> None:
        await remove_host_place("host-a", host_run)
        await remove_host_place("host-a", host_run)

    same, there = asyncio.run(make()), link.exists()
    asyncio.run(remove())

    assert (same, there, link.exists()) == (True, True, False)
    assert not Path("/run/netns", namespace).exists()
    assert namespace not in [record.namespace for record in host_records()]
