"""The testbed on a real bucket that somebody lends: read with other credentials, left as it was."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]  # it has no types
import msgspec
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # as above
from aiobotocore.session import AioSession  # type: ignore[import-untyped]  # as above

from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable, Unsupported
from holdfast.contract.live_store import LiveStore
from holdfast.contract.ports import Provider
from holdfast.contract.requests import Role
from holdfast.contract.testbed import (
    BackendIdentity,
    BadConfig,
    Fault,
    Inspector,
    TestbedFactory,
    TestbedKind,
)
from holdfast.stores.open_store import parse_config
from holdfast_drivers.s3.config import S3Config, prefix_of
from holdfast_drivers.s3.inspector import Known, S3Inspector
from holdfast_drivers.s3.testbed import S3Testbed, remove_all

_CONNECT_S = 5
_READ_S = 60


class LiveS3Testbed(S3Testbed):
    """One bucket of a server that belongs to somebody else; nothing is done to the server.

    Args:
        provider: makes configurations of the description.
        store: the description.
        client: the inspector's client.
    """

    kind = TestbedKind.LIVE
    second_path = "the S3 API with credentials of its own"
    faults = frozenset[Fault]()

    def __init__(
        self, provider: Provider, store: LiveStore, client: Any, identity: BackendIdentity
    ) -> None:
        self._provider = provider
        self._store = store
        self._client = client
        self._known = Known()
        self.identity = identity
        self.hosts = store.hosts or self.hosts

    def config(self, role: Role, namespace: str) -> S3Config:
        """The described store, in a namespace of the suite's own."""
        return config_of(self._provider, self._store.settings(role, namespace))

    def bad_configs(self, role: Role, namespace: str) -> tuple[BadConfig, ...]:
        """As for any bucket, but for what is no mistake at this server."""
        good = self.config(role, namespace)
        found = super().bad_configs(role, namespace)
        return tuple(bad for bad in found if bad.config != good)

    def inspector(self, role: Role, namespace: str) -> Inspector:
        """Reads the namespace's prefix with the inspector's credentials."""
        config = self.config(role, namespace)
        return S3Inspector(self._client, config.bucket, prefix_of(config), self._known)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """None."""
        return frozenset()

    def request_seen(self, count: int = 1) -> Awaitable[None] | None:
        """Nothing stands between driver and server."""
        return None

    async def begin(self, fault: Fault) -> None:
        """Never: the server serves others, too."""
        raise Unsupported(f"a server that others use is not put under the fault {fault}")

    async def remove(self, role: Role, namespace: str) -> None:
        """Remove everything under the namespace's prefix, and nothing else."""
        config = self.config(role, namespace)
        await remove_all(self._client, prefix_of(config), config.bucket)


def config_of(provider: Provider, settings: dict[str, Any]) -> S3Config:
    """A configuration from keys and values; ``ConfigurationError`` names a wrong one."""
    return msgspec.convert(parse_config(provider, settings), S3Config, from_attributes=True)


def live_testbed(provider: Provider, store: LiveStore) -> TestbedFactory:
    """What starts the testbed on a described bucket.

    Raises:
        ConfigurationError: the description lacks an image store, or the inspector's credentials.
    """
    settings = store.settings(Role.IMAGE, "namespace")
    config_of(provider, settings)
    if not store.inspector.get("access_key") or not store.inspector.get("secret_key"):
        raise ConfigurationError(
            "the inspector needs credentials of its own: add access_key and secret_key to the "
            "table [inspector]"
        )
    inspector = config_of(provider, {**settings, **store.inspector})

    @asynccontextmanager
    async def start(run: str) -> AsyncIterator[LiveS3Testbed]:
        del run  # a namespace tells one run from another
        async with _client(inspector) as client:
            yield LiveS3Testbed(provider, store, client, await _identity(client, inspector))

    return start


def _client(config: S3Config) -> AbstractAsyncContextManager[Any]:
    session: Any = AioSession()
    context: AbstractAsyncContextManager[Any] = session.create_client(
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        verify=config.ca_file or None,
        config=AioConfig(
            s3={"addressing_style": "path" if config.path_style else "virtual"},
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return context


async def _identity(client: Any, config: S3Config) -> BackendIdentity:
    """What answers, as it calls itself; ``EnvironmentUnavailable`` where the inspector cannot."""
    try:
        answer = await client.head_bucket(Bucket=config.bucket)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise EnvironmentUnavailable(
            f"the inspector cannot look into bucket {config.bucket} of {config.endpoint}: "
            f"{type(error).__name__}; see the table [inspector]"
        ) from None
    server = answer["ResponseMetadata"]["HTTPHeaders"].get("server", "unknown")
    return BackendIdentity(vendor=server, product="S3", version="", detail=config.endpoint)
