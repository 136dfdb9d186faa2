"""Every catalogue there is, for the tests that hold for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.catalogue import codec
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import InlineRuntime, Runtime, use_runtime

Check = Callable[[Catalogue], Awaitable[None]]
Run = Callable[[Check], None]


@asynccontextmanager
async def open_memory() -> AsyncIterator[Catalogue]:
    async with MemoryCatalogue().opened() as catalogue:
        yield catalogue


@pytest.fixture(params=["memory", "memory in production", "sqlite", "sqlite inline"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a check on a new catalogue of each kind."""
    in_memory = request.param.startswith("memory")
    if request.param == "memory in production":
        monkeypatch.setattr(codec, "READ_BACK", False)

    async def opened(check: Check) -> None:
        async with (
            open_memory() if in_memory else open_catalogue(tmp_path / "zone.db")
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
