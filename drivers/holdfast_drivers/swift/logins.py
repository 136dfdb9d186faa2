"""A testbed's own way to a Swift server: directly, and by none of the driver's code."""

import httpx
import msgspec

_ANSWER_S = 5.0


class Login(msgspec.Struct, frozen=True):
    """Where a user's account is, and what its requests are sent with."""

    account: str
    token: dict[str, str]


def plain_client() -> httpx.AsyncClient:
    """A client that minds no proxy of this machine."""
    return httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False)


async def login(client: httpx.AsyncClient, address: str, user: str, key: str) -> Login:
    """A token of a user.

    Raises:
        httpx.HTTPError: the server does not answer, or does not let the user in.
    """
    asked = {"x-auth-user": user, "x-auth-key": key}
    given = (await client.get(f"{address}/auth/v1.0", headers=asked)).raise_for_status()
    token = {"x-auth-token": given.headers["x-auth-token"]}
    return Login(account=given.headers["x-storage-url"], token=token)
