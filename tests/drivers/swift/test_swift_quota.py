"""An account whose quota is used up, on a genuine Swift."""

import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from holdfast.contract.answers import OwnedKind
from holdfast.contract.errors import Exhausted
from holdfast_drivers.swift.testbed import SwiftTestbed
from races import KEY
from running_testbeds import Backend, Running, running
from swift_stores import Store, on_a_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swift() -> Iterator[Running]:
    """A running Swift."""
    require_engine()
    with running(Backend(provider="swift", kind="container"), f"quota-{os.getpid()}") as found:
        yield found


def test_a_used_up_quota_takes_no_part_and_says_so(swift: Running) -> None:
    """A part over the quota is refused as exhausted; what was there stays, and more fits later."""
    testbed = swift.testbed
    assert isinstance(testbed, SwiftTestbed)

    async def story(store: Store) -> None:
        await store.put("up-1", b"kept")
        await testbed.limit(0)
        try:
            with pytest.raises(Exhausted, match="quota"):
                await store.put("up-2", b"more")
        finally:
            await testbed.limit(None)
        kinds = [thing.kind for thing in await store.things()]
        assert kinds.count(OwnedKind.OBJECT) == 1
        await store.put("up-2", b"more")
        assert (OwnedKind.OBJECT, KEY) in await store.owned()

    on_a_store(swift, story)
