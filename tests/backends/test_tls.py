"""Stores behind TLS: with the right authority all works; without it, an error names the setting."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec
import pytest

from engines import require_engine
from fault_world import DATA, World, context
from holdfast.contract import requests
from holdfast.contract.errors import DriverError, ErrorKind, Invalid
from holdfast.contract.requests import Role
from holdfast.data import open_block_io
from holdfast.stores.open_store import open_life_cycle, secrets_of
from onlooker import looking_on
from running_testbeds import Backend, Running, running
from tls_front import ADDRESS, Authority, make_authority, tls_front

pytestmark = pytest.mark.slow
PLACES = {
    "s3-embedded": (Backend(provider="s3", kind="embedded"), "endpoint"),
    "swift-container": (Backend(provider="swift", kind="container"), "auth_url"),
}
"""Backends that are reached by an address over HTTP, and the setting that holds it."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A running backend, and the setting with its address."""

    found: Running
    setting: str

    def reached(self, namespace: str, address: str = "", ca_file: Path | None = None) -> Any:
        """A configuration that reaches the backend in another way."""
        good = self.found.testbed.config(Role.IMAGE, namespace)
        changes = {self.setting: f"{address}{self._parts.path}"} if address else {}
        return msgspec.structs.replace(good, **changes, ca_file=str(ca_file or ""))

    @property
    def upstream(self) -> tuple[str, int]:
        """Where the server itself is."""
        return str(self._parts.hostname), int(self._parts.port or 0)

    @property
    def _parts(self) -> SplitResult:
        good: Any = self.found.testbed.config(Role.IMAGE, "any")
        return urlsplit(str(getattr(good, self.setting)))


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A running backend."""
    backend, setting = PLACES[request.param]
    if backend.kind.startswith("container"):
        require_engine()
    with running(backend, f"tls-{os.getpid()}") as found:
        yield Place(found=found, setting=setting)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    """The authority that vouches for the server, and another one."""
    folder = tmp_path_factory.mktemp("authorities")
    return make_authority(folder, "right"), make_authority(folder, "wrong")


@asynccontextmanager
async def secured(place: Place, authority: Authority) -> AsyncIterator[tuple[World, int]]:
    """A world whose store is reached through TLS, and the port."""
    async with tls_front(place.upstream, authority) as port:
        world = World(place.found.provider, place.found.testbed, Role.IMAGE, "tls")
        world.config = place.reached("tls", f"https://{ADDRESS}:{port}", authority.ca_file)
        async with world:
            yield world, port


def test_everything_works_through_tls(
    place: Place, authorities: tuple[Authority, Authority]
) -> None:
    """Uploads, copies, handles and temporary addresses work with the authority in ``ca_file``."""

    async def story() -> None:
        async with secured(place, authorities[0]) as (world, _):
            await world.open()
            await world.put("object")
            copied = requests.CopyObject(key="object", target="copied")
            await world.image.copy(context("tls"), copied)
            got = await world.image.get(context("tls"), requests.GetObject(key="copied"))
            assert got.data == DATA
            opened = await world.image.open_object(
                context("tls"), requests.OpenObject(key="object")
            )
            async with open_block_io(opened) as content:
                assert await content.read_at(5, 20) == DATA[5:25]
            asked = requests.TemporaryUrl(key="object", expires_s=60.0)
            url = (await world.image.temporary_url(context("tls"), asked)).url
            assert url.startswith("https:")
            trusted = make_trusted(authorities[0])
            async with httpx.AsyncClient(trust_env=False, verify=trusted) as http:
                assert (await http.get(url)).content == DATA
            untrusted = msgspec.structs.replace(opened, ca_file=str(authorities[1].ca_file))
            async with open_block_io(untrusted) as content:
                with pytest.raises(Invalid, match="ca_file"):
                    await content.read_at(0, 1)
            await world.clear()
            assert await world.things() == ()

    place.found.run(story())


def make_trusted(authority: Authority) -> ssl.SSLContext:
    """What trusts one authority only."""
    return ssl.create_default_context(cafile=str(authority.ca_file))


def test_each_mistake_about_tls_is_told_apart(
    place: Place, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    """Each mistake has an error of its own that names the setting, no residue, and no secret."""
    right, wrong = authorities
    unreadable = tmp_path / "no.pem"
    unreadable.write_text("this is no certificate")

    async def story() -> None:
        inspector = place.found.testbed.inspector(Role.IMAGE, "tls")
        before = await inspector.inventory()
        plain = "http://{}:{}".format(*place.upstream)
        async with tls_front(place.upstream, right) as port:
            tls = f"https://{ADDRESS}:{port}"
            invalid = frozenset({ErrorKind.INVALID})
            # A server of TLS closes what is not: that looks like any connection that breaks.
            broken = frozenset({ErrorKind.UNKNOWN, ErrorKind.UNAVAILABLE})
            mistakes = [
                (place.reached("tls", tls, wrong.ca_file), "ca_file", invalid),
                (place.reached("tls", tls, unreadable), "ca_file", invalid),
                (place.reached("tls", tls, tmp_path / "missing"), "ca_file", invalid),
                (place.reached("tls", tls, tmp_path), "ca_file", invalid),
                (
                    place.reached("tls", plain.replace("http:", "https:"), right.ca_file),
                    f"{place.setting} must say http:",
                    invalid,
                ),
                (
                    place.reached("tls", tls.replace("https:", "http:")),
                    f"{place.setting} must say https:",
                    broken,
                ),
                (place.reached("tls", tls), "ca_file", invalid),
            ]
            with looking_on() as onlooker:
                errors = [await refused(place, config) for config, _, _ in mistakes]
        for error, (_, named, kinds) in zip(errors, mistakes, strict=True):
            assert named in str(error)
            assert error.kind in kinds
        told = [str(error) for error in errors]
        assert len(set(told[:-1])) == len(told) - 1  # the last one is the first one's mistake
        good = place.reached("tls")
        for secret in secrets_of(place.found.provider, good):
            assert not [text for text in told if secret in text]
            assert onlooker.where(secret) == []
        assert await inspector.inventory() == before

    place.found.run(story())


async def refused(place: Place, config: Any) -> DriverError:
    """What a place with these settings is refused with."""
    provider = place.found.provider
    with pytest.raises(DriverError) as caught:
        async with open_life_cycle(provider, config, Role.IMAGE) as life_cycle:
            await life_cycle.initialize(context("tls"), requests.InitializeStore(name="tls"))
    return caught.value


def test_a_handshake_that_breaks_is_no_mistake_about_certificates(place: Place) -> None:
    """A server that closes the connection in the handshake may be there again later."""

    async def story() -> None:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.transport.abort()

        server = await asyncio.start_server(close, ADDRESS, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            config = place.reached("tls", f"https://{ADDRESS}:{port}")
            error = await refused(place, config)
        assert error.kind is ErrorKind.UNAVAILABLE

    place.found.run(story())
