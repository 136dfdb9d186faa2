"""Every catalogue there is, for the tests that hold for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.runtime import InlineRuntime, Runtime, use_runtime

Check = Callable[[Catalogue], Awaitable[None]]
Run = Callable[[Check], None]


@asynccontextmanager
async def open_memory() -> AsyncIterator[Catalogue]:
    yield MemoryCatalogue()


@pytest.fixture(params=["memory", "sqlite", "sqlite inline"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a check on a new catalogue of each kind."""

    async def opened(check: Check) -> None:
        kind: str = request.param
        async with (
            open_memory() if kind == "memory" else open_catalogue(tmp_path / "zone.db")
        ) as catalogue:
            await check(catalogue)

    def run_on_new(check: Check) -> None:
        if request.param == "sqlite inline":
            inline: Runtime = InlineRuntime(seed=1)
            with use_runtime(inline):
                asyncio.run(opened(check))
        else:
            asyncio.run(opened(check))

    return run_on_new
