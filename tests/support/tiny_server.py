"""A server of ten lines in a container, and a provider whose testbed runs it."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import ClassVar

import msgspec

from holdfast.contract.errors import Unsupported
from holdfast.contract.ports import LifeCycle, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.contract.testbed import (
    BackendIdentity,
    Inspector,
    Testbed,
    TestbedFactory,
    TestbedKind,
)
from holdfast_drivers.servers.container_images import BASE_IMAGE, ImageRecipe
from holdfast_drivers.servers.running_servers import (
    BackendServer,
    Server,
    ServerFile,
    ServerSpec,
    run_server,
)
from holdfast_drivers.servers.server_specs import NeedsServers

PORT = 80
_HERE = Path(__file__).parent
GREETING = b"here I am\n"
_PROGRAM = """
    import socket
    server = socket.create_server(("", 80))
    print("listening", flush=True)
    while True:
        client, _ = server.accept()
        client.sendall(open("/srv/greeting", "rb").read())
        client.close()
"""


def tiny(backend: str = "tiny", **settings: object) -> ServerSpec:
    """The server's description; ``settings`` replace some of it."""
    spec = ServerSpec(
        backend=backend,
        image=BASE_IMAGE,
        command=("python3", "/srv/serve.py"),
        files=(
            ServerFile(path="/srv/serve.py", data=textwrap.dedent(_PROGRAM).encode()),
            ServerFile(path="/srv/greeting", data=GREETING, mode=0o600),
        ),
    )
    return msgspec.structs.replace(spec, **settings)


async def greeting(address: str) -> bytes:
    """What the server says to a client of this machine."""
    reader, writer = await asyncio.open_connection(address, PORT)
    try:
        return await reader.read()
    finally:
        writer.close()


async def greets(server: Server) -> bool:
    """Whether the server answers in its own protocol."""
    return await greeting(server.address) == GREETING


class TinyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server is."""

    address: str
    namespace: str


class TinyTestbed(Testbed):
    """The server, and nothing that a driver could use."""

    kind = TestbedKind.CONTAINER
    second_path = ""
    identity = BackendIdentity(vendor="Holdfast", product="tiny server", version="1")

    def __init__(self, server: Server) -> None:
        self._server = server

    def config(self, role: Role, namespace: str) -> TinyConfig:
        return TinyConfig(address=self._server.address, namespace=namespace)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        raise Unsupported("the tiny server stores nothing")

    async def remove(self, role: Role, namespace: str) -> None:
        return


@asynccontextmanager
async def tiny_testbed(run: str) -> AsyncIterator[Testbed]:
    """The server in a container, for one run."""
    async with run_server(tiny(), run, greets) as server:
        yield TinyTestbed(server)


class TinyProvider(Provider, NeedsServers):
    """A provider with a container testbed and no driver."""

    name: ClassVar[str] = "tiny"
    roles: ClassVar[tuple[Role, ...]] = (Role.IMAGE,)
    scopes: ClassVar[tuple[ScopeKind, ...]] = (ScopeKind.ZONE,)
    config_type: ClassVar[type[msgspec.Struct]] = TinyConfig

    def life_cycle(
        self, config: msgspec.Struct, role: Role
    ) -> AbstractAsyncContextManager[LifeCycle]:
        raise Unsupported("the tiny server is no store")

    def testbeds(self) -> Mapping[TestbedKind, TestbedFactory]:
        return {TestbedKind.CONTAINER: tiny_testbed}

    def servers(self) -> tuple[BackendServer, ...]:
        recipe = ImageRecipe(name="holdfast/tiny", folder=_HERE / "tiny_image")
        return (BackendServer(name="tiny", images=(recipe,)),)


class SlowProvider(TinyProvider):
    """A provider whose image takes an hour to make."""

    def servers(self) -> tuple[BackendServer, ...]:
        recipe = ImageRecipe(name="holdfast/slow", folder=_HERE / "slow_image")
        return (BackendServer(name="slow", images=(recipe,)),)
