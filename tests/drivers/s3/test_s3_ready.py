"""An S3 server that is starting, as MinIO answers then, and one that never comes."""

import asyncio

import pytest

from holdfast_drivers.s3.testbed import Credentials, session_of
from holdfast_drivers.servers.fault_proxy import FaultProxy
from holdfast_drivers.servers.fault_requests import http_answer, requests

pytestmark = pytest.mark.slow
EARLY = http_answer(503, "XMinioServerNotInitialized")
SESSION = b"""\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>\
<Credentials><AccessKeyId>key</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
<SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
</AssumeRoleResult></AssumeRoleResponse>"""


def test_a_session_is_had_from_a_server_that_is_still_starting() -> None:
    """A server that says that it is not initialized is asked again until it is."""

    async def story() -> Credentials:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server, FaultProxy(upstream=server.sockets[0].getsockname()) as proxy:
            refused = proxy.requests.answer(requests("POST", "/"), EARLY, times=7)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(SESSION)}\r\nConnection: close\r\n\r\n"
            proxy.requests.answer(requests("POST", "/"), head.encode() + SESSION)
            host, port = proxy.address
            user = Credentials(access_key="admin", secret_key="admins-secret")
            session = await session_of(f"http://{host}:{port}", user)
            assert refused.met == 7
            return session

    assert asyncio.run(story()).session_token == "token"
