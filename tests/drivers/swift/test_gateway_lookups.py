"""What the gateway says of an account or a container that it could not look up."""

import pytest

from gateway_world import Container, Running
from holdfast_drivers.servers.fault_requests import Match, http_answer, requests

pytestmark = pytest.mark.slow
CONTAINER = requests("GET", "/c/")
"""The request that reads the record of a container."""
ACCOUNT = requests("GET", "/a/")
FAILED = http_answer(500, "InternalError")


async def _asked(
    running: Running, container: Container, asked: tuple[str, str], lost: Match
) -> int:
    """The status of a request while S3 fails to read some record."""
    method, name = asked
    running.gateway.requests.answer(lost, FAILED, times=1 << 30)
    data = b"newer" if (method, name) == ("PUT", "a") else None
    said = (await container.ask(method, name, data, destination="box/b")).status_code
    running.gateway.requests.clear()
    return said


EVERYTHING = [
    *((method, "a") for method in ("PUT", "POST", "DELETE", "COPY", "GET", "HEAD")),
    *((method, "") for method in ("PUT", "POST", "DELETE", "GET", "HEAD")),
]


@pytest.mark.parametrize("lost", [CONTAINER, ACCOUNT], ids=["container", "account"])
@pytest.mark.parametrize("asked", EVERYTHING, ids=" ".join)
def test_what_cannot_be_looked_up_is_not_called_absent(
    running: Running, asked: tuple[str, str], lost: Match
) -> None:
    """Who is told 404 takes the container, and all that is in it, for gone."""

    async def story() -> None:
        async with running.gateway.container() as container:
            assert await container.put("a", b"older") == 201
            # Swift forgets what it knew of a container or an account when that is changed.
            assert (await container.ask("POST")).status_code == 204
            assert (await container.account("POST")).status_code == 204
            said = await _asked(running, container, asked, lost)
            assert said in {200, 204, 503}, said
            deleted = asked == ("DELETE", "a") and said == 204
            assert (await container.ask("GET", "a")).status_code == (404 if deleted else 200)

    running.run(story())
