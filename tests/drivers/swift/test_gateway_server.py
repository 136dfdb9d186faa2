"""The Swift gateway, running over an S3 server, asked as any client of Swift would ask it."""

import asyncio
import os
import secrets

import httpx
import pytest

from engines import require_engine
from holdfast_drivers.swift.gateway.server import gateway_server
from holdfast_drivers.swift.gateway.storage import s3_storage
from holdfast_drivers.swift.server_recipe import PORT
from holdfast_drivers.swift.users import User

pytestmark = pytest.mark.slow
KIND = "text/\u8508-\u03a9"


def test_a_content_type_beyond_latin_1_is_kept() -> None:
    """An object's content type comes back, from the object and from a listing, in every script."""
    require_engine()
    user = User(account="test", name="tester", key=secrets.token_hex(16))
    run = f"gateway-{os.getpid()}"

    async def story() -> None:
        async with (
            s3_storage(run) as storage,
            gateway_server(run, storage, (user,)) as server,
            httpx.AsyncClient(trust_env=False, timeout=30.0) as client,
        ):
            address = f"http://{server.address}:{PORT}/auth/v1.0"
            who = {"x-auth-user": f"{user.account}:{user.name}", "x-auth-key": user.key}
            given = (await client.get(address, headers=who)).headers
            token = {"x-auth-token": given["x-auth-token"]}
            given_token = httpx.Headers(token).raw
            container = f"{given['x-storage-url']}/container"
            assert (await client.put(container, headers=token)).status_code == 201
            for change, status in (("PUT", 201), ("POST", 202)):
                kind = f"{KIND}{change}".encode()
                asked = httpx.Headers([(b"content-type", kind), *given_token])
                done = await client.request(change, f"{container}/object", headers=asked)
                assert done.status_code == status
                there = await client.head(f"{container}/object", headers=token)
                assert dict(there.headers.raw)[b"Content-Type"] == kind
                listed = await client.get(f"{container}?format=json", headers=token)
                assert [row["content_type"] for row in listed.json()] == [kind.decode()]

    asyncio.run(story())
