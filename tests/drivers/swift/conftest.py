"""One gateway for all tests of what fails it, over each S3 server that is on this machine."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from engines import require_engine
from gateway_world import NEVER, Running
from holdfast_drivers.servers.minio_source import find_minio

PRODUCTS = ("seaweedfs", "minio")


@pytest.fixture(scope="package", params=PRODUCTS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A gateway that never sweeps, over each S3 server that is here."""
    require_engine()
    with asyncio.Runner() as runner:
        if request.param == "minio" and runner.run(find_minio()).image is None:
            pytest.skip("there is no MinIO on this machine")
        run = f"gateway-faults-{request.param}-{os.getpid()}"
        with Running(runner, request.param, run, NEVER) as found:
            yield found
