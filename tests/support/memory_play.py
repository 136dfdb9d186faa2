"""A play: calls to the reference driver or to a mutant of it, and all that is seen from outside."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, urlsplit

import httpx

from holdfast.contract import requests
from holdfast.contract.errors import DriverError
from holdfast.contract.handles import Handle
from holdfast.contract.ports import Provider
from holdfast.contract.requests import CallContext, Request, Role, verb_of
from holdfast.contract.testbed import TestbedKind
from holdfast.data import BLOCK_BYTES, open_block_io
from holdfast.layers import ImageGuard, LifeCycleGuard, PrimaryGuard
from holdfast.stores.open_store import open_image, open_life_cycle, open_primary

CTX = CallContext(operation="op-1", deadline=1e9)
BLOCK = BLOCK_BYTES
Answer = tuple[object, ...]


class Play:
    """Drives one provider and writes down what can be seen from outside."""

    def __init__(
        self, primary: PrimaryGuard, image: ImageGuard, life_cycle: LifeCycleGuard
    ) -> None:
        self._drivers: dict[str, object] = {"primary": primary, "image": image, "life": life_cycle}
        self._primary, self._image = primary, image
        self.seen: list[object] = []
        self._ids: dict[str, str] = {}
        self._written = 0

    async def do(self, where: str, *steps: Request) -> None:
        """Call the verb of each request and note the answer or the kind of error."""
        for request in steps:
            try:
                answer = await getattr(self._drivers[where], verb_of(request))(CTX, request)
            except DriverError as error:
                self.seen.append((error.kind, error.object, bool(error.cause)))
                continue
            self.seen.append(self._named(repr(answer)))

    def _named(self, text: str) -> str:
        """Ids differ from run to run; the order in which they appear does not."""

        def name(found: re.Match[str]) -> str:
            return self._ids.setdefault(found[0], f"id{len(self._ids)}")

        return re.sub("token='.+?'", "token", re.sub("[a-z]+-[0-9a-f]{16}", name, text))

    async def write(self, volume: str, first: int, count: int, host: str = "host-a") -> None:
        """Write blocks that differ from all others, and note how that went."""
        self._written += count
        data = b"".join(bytes([self._written + n]) * BLOCK for n in range(count))
        try:
            handle = await self._primary.open(CTX, requests.Open(volume=volume, host=host))
            async with open_block_io(handle) as content:
                await content.write_at(first * BLOCK, data)
        except DriverError as error:
            self.seen.append(error.kind)

    async def read(self, volume: str, host: str = "host-a") -> Handle | None:
        """Note everything that a host reads."""
        try:
            handle = await self._primary.open(CTX, requests.Open(volume=volume, host=host))
            async with open_block_io(handle) as content:
                data = await content.read_at(0, content.size_bytes)
        except DriverError as error:
            self.seen.append(error.kind)
            return None
        self.seen.append((len(data), hashlib.sha256(data).hexdigest()))
        return handle

    async def address(self, key: str) -> SplitResult:
        """A temporary address; note whether it is one, without what differs from run to run."""
        try:
            request = requests.TemporaryUrl(key=key, expires_s=60.0)
            found = urlsplit((await self._image.temporary_url(CTX, request)).url)
        except DriverError as error:
            self.seen.append(error.kind)
            return urlsplit("")
        self.seen.append((found.scheme, found.hostname, found.path))
        return found

    async def fetch(self, url: SplitResult, method: str = "GET") -> None:
        """Note what anybody is answered."""
        if not url.hostname:
            self.seen.append("no server")
            return
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, url.geturl())
        self.seen.append((answer.status_code, hashlib.sha256(answer.content).hexdigest()))

    async def peek(self, handle: Handle | None) -> None:
        """Note what comes of a handle that was opened before."""
        if handle is None:
            return
        try:
            async with open_block_io(handle) as content:
                self.seen.append(await content.read_at(0, 1))
        except DriverError as error:
            self.seen.append(error.kind)


async def played(provider: Provider, plot: Callable[[Play], Awaitable[None]]) -> Answer:
    """What can be seen of a provider while a plot runs, the final inventory included."""
    async with provider.testbeds()[TestbedKind.EMBEDDED]("test") as testbed:
        config = testbed.config(Role.PRIMARY, "ns")
        image_config = testbed.config(Role.IMAGE, "ns")
        async with (
            open_life_cycle(provider, config, Role.PRIMARY) as life_cycle,
            open_life_cycle(provider, image_config, Role.IMAGE) as image_life_cycle,
            open_primary(provider, config) as primary,
            open_image(provider, image_config) as image,
        ):
            await life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
            await image_life_cycle.initialize(CTX, requests.InitializeStore(name="store"))
            play = Play(primary, image, life_cycle)
            await play.do(
                "life", requests.AttachHost(host="host-a"), requests.AttachHost(host="host-b")
            )
            await plot(play)
            inventory = await testbed.inspector(Role.PRIMARY, "ns").inventory()
            things = [
                (thing.kind, thing.key, thing.size_bytes, thing.digest, thing.detail)
                for thing in inventory.things
            ]
            return (*play.seen, things, inventory.outside_digest)
