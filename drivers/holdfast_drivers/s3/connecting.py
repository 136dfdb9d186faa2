"""How a store's client is opened: settings are checked, and nothing is sent yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import Invalid
from holdfast.data.tls import trusting
from holdfast_drivers.s3 import library
from holdfast_drivers.s3.client import Bucket
from holdfast_drivers.s3.config import S3Config, check_config
from holdfast_drivers.s3.library import exceptions as botocore

_CONNECT_S: Final = 5.0


@asynccontextmanager
async def open_bucket(config: S3Config) -> AsyncIterator[Bucket]:
    """A client for one store; it connects when it is first used.

    Raises:
        Invalid: a setting can never work.
    """
    check_config(config)
    verify: str | bool | None = False  # nothing is encrypted over http
    if urlsplit(config.endpoint).scheme == "https":
        verify = config.ca_file or None
    if config.ca_file:
        await runtime().run_blocking(trusting, config.ca_file)
    try:
        context = library.open_client(
            "s3",
            endpoint_url=config.endpoint,
            region_name=config.region,
            aws_access_key_id=config.access_key,
            aws_secret_access_key=config.secret_key,
            verify=verify,
            config=library.config(
                connect_timeout=_CONNECT_S,
                read_timeout=None,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path" if config.path_style else "virtual"},
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        client = await context.__aenter__()
    except (botocore.BotoCoreError, ValueError, OSError) as error:
        raise Invalid(
            f"settings endpoint, region, bucket or ca_file cannot be used: {type(error).__name__}"
        ) from None
    try:
        yield Bucket(client, config)
    finally:
        await context.__aexit__(None, None, None)
