"""How a genuine Swift removes many objects, and why nothing in a store expires by itself."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from engines import require_engine
from holdfast.contract import requests
from holdfast.contract.errors import Corrupt
from holdfast.contract.requests import Role
from holdfast_drivers.object_server_call import Call
from holdfast_drivers.swift.config import SwiftConfig
from holdfast_drivers.swift.connection import Answer, Connection, open_connection
from holdfast_drivers.swift.containers import Container
from races import KEY
from running_testbeds import Backend, Running, running
from swift_stores import Store, context, on_a_store

pytestmark = pytest.mark.slow
NAMES = [f"a b/{number:02}" for number in range(20)]


@pytest.fixture(scope="module", params=("container", "container:gateway"))
def swift(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running Swift, and the gateway."""
    require_engine()
    with running(Backend(provider="swift", kind=request.param), f"deletes-{os.getpid()}") as found:
        yield found


class Watched(Connection):
    """A connection that notes which requests it makes."""

    def __init__(self, plain: Connection, *, bulk: bool) -> None:
        super().__init__(plain.config, plain._client)  # pyright: ignore[reportPrivateUsage] - to look on
        self.methods: list[str] = []
        self._bulk = bulk

    async def deletes_at_once(self, call: Call) -> int:
        return await super().deletes_at_once(call) if self._bulk else 1

    async def ask(self, call: Call, method: str, path: str, **details: Any) -> Answer:
        self.methods.append(method)
        return await super().ask(call, method, path, **details)


@pytest.mark.parametrize("bulk", [True, False])
def test_many_objects_are_removed(swift: Running, bulk: bool) -> None:
    """By one request where the server offers that, by one for each where it does not."""
    config = swift.testbed.config(Role.IMAGE, f"deletes-{bulk}")
    assert isinstance(config, SwiftConfig)

    async def play() -> None:
        async with open_connection(config) as plain:
            connection = Watched(plain, bulk=bulk)
            place = Container(connection, config.namespace)
            call = Call(context())
            await place.make(call, {})
            for name in NAMES:
                await place.put(call, name, b"data", {})
            await place.put(call, "stays", b"data", {})
            connection.methods.clear()
            await place.delete_all(call, [*NAMES, "absent"])
            expected = ["POST"] if bulk else ["DELETE"] * (len(NAMES) + 1)
            assert connection.methods == expected
            assert [entry.name for entry in await place.all(call) or []] == ["stays"]
        await swift.testbed.remove(Role.IMAGE, f"deletes-{bulk}")

    swift.run(play())


def test_an_expiring_segment_would_take_its_object_along(swift: Running) -> None:
    """Swift lets a segment expire under the object that is joined from it: so none may."""

    async def story(store: Store) -> None:
        await store.put("up", b"one", b"two")
        inside = store.image._store  # pyright: ignore[reportPrivateUsage] - as nobody should
        call = Call(context())
        names = [entry.name for entry in await inside.segments.all(call, "d/") or []]
        await inside.connection.ask(
            call,
            "POST",
            inside.segments.path(names[0]),
            accept=(200, 202),
            headers={"x-delete-after": "1"},
        )
        while await inside.segments.head(call, names[0]) is not None:
            pass  # the server's clock decides; each question waits for its answer
        assert await inside.objects.head(call, "images.fa.eb") is not None
        with pytest.raises(Corrupt):
            await store.image.get(context(), requests.GetObject(key=KEY))

    on_a_store(swift, story)
