"""The gateway in a container of its own, over a running S3 server."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast_drivers.servers.running_servers import Server, ServerFile, ServerSpec, run_server
from holdfast_drivers.servers.server_specs import ImageRecipe
from holdfast_drivers.swift.gateway.pipeline import (
    CONFIG_FILE,
    SECRET_FILE,
    S3Place,
    Sweeping,
    proxy_configuration,
)
from holdfast_drivers.swift.gateway.storage import S3Storage, http_status
from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import User

GATEWAY_IMAGE = ImageRecipe(
    name="holdfast/swift-gateway", folder=Path(__file__).parent / "server_image"
)
BACKEND = "swift-gateway"
BUCKET = "swift"


@asynccontextmanager
async def gateway_server(
    run: str, storage: S3Storage, users: Iterable[User], sweeping: Sweeping | None = None
) -> AsyncIterator[Server]:
    """The gateway, ready: its whole pipeline answers, and its bucket is made."""
    spec = ServerSpec(
        backend=BACKEND,
        image=GATEWAY_IMAGE,
        files=(
            ServerFile(path=CONFIG_FILE, data=configuration(storage, users, sweeping), mode=0o600),
            ServerFile(path=SECRET_FILE, data=storage.secret_key.encode(), mode=0o600),
        ),
    )
    async with run_server(spec, run, answers) as server:
        yield server


def configuration(
    storage: S3Storage, users: Iterable[User], sweeping: Sweeping | None = None
) -> bytes:
    """What the gateway is told; ``sweeping`` where it is not to sweep as usual."""
    place = S3Place(endpoint=storage.endpoint, bucket=BUCKET, access_key=storage.access_key)
    return proxy_configuration(place, users, sweeping or Sweeping())


async def answers(server: Server) -> bool:
    """Whether the proxy serves; its application is made, bucket included, before it listens."""
    return await http_status(server.address, PORT, "/info") == 200
