"""What the ``s3`` driver is told, and what it declares."""

from typing import Final
from urllib.parse import urlsplit

import msgspec

from holdfast.contract.capabilities import (
    CopyCapabilities,
    ImageCapabilities,
    ListCapabilities,
    RangeCapabilities,
    UploadCapabilities,
    UrlCapabilities,
)
from holdfast.contract.errors import Invalid
from holdfast_drivers.s3.names import encoded

URL_MAX_S: Final = 7 * 24 * 3600
"""How long a presigned address works at most, by the S3 API."""
JOIN_PARTS_MAX: Final = 10_000
"""How many parts one multipart upload may have, by the S3 API."""
PART_BYTES: Final = 16 << 20
PART_LIMIT_BYTES: Final = 512 << 20
_ENDPOINT_SCHEMES: Final = ("http", "https")


class S3Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a bucket.

    Args:
        endpoint: the server's address, such as ``https://s3.example:9000``.
        region: the server's region; many servers take any.
        access_key: the name of the credentials.
        secret_key: their secret.
        bucket: a bucket that exists.
        namespace: the prefix of all keys; nothing else in the bucket is ever touched.
        ca_file: a file with the certificates that ``endpoint`` is trusted by; without it, those
            that come with the client.
        path_style: the bucket is in the path of an address (true) or in its host name (false).
        part_max_bytes: the largest part; an object has at most 10,000 times that.
        capacity_bytes: what the store is said to hold in all, since S3 tells no capacity.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    namespace: str
    region: str = "us-east-1"
    ca_file: str = ""
    path_style: bool = True
    part_max_bytes: int = PART_BYTES
    capacity_bytes: int = 1 << 50


def check_config(config: S3Config) -> None:
    """Refuse what no server is needed for.

    Raises:
        Invalid: a setting can never work; the message names it.
    """
    if not _is_address(config.endpoint):  # which may have a password in it: it is not repeated
        raise Invalid("setting endpoint is no http or https address of a server")
    for name in ("access_key", "secret_key", "bucket", "namespace", "region"):
        if not getattr(config, name):
            raise Invalid(f"setting {name} is empty")
    if not JOIN_MIN_BYTES <= config.part_max_bytes <= PART_LIMIT_BYTES:
        raise Invalid(
            f"setting part_max_bytes is {config.part_max_bytes}; {JOIN_MIN_BYTES} to "
            f"{PART_LIMIT_BYTES} are allowed"
        )
    if config.capacity_bytes < 1:
        raise Invalid(f"setting capacity_bytes is {config.capacity_bytes}; it must be positive")


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in _ENDPOINT_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and endpoint.isprintable() and parts.username is None


JOIN_MIN_BYTES: Final = 5 << 20
"""The smallest part of a multipart upload that is not its last, by the S3 API."""


def prefix_of(config: S3Config) -> str:
    """What the keys of everything the store owns begin with."""
    return f"{encoded(config.namespace)}/"


def capabilities_of(config: S3Config) -> ImageCapabilities:
    """What a store with this configuration can do."""
    return ImageCapabilities(
        upload=UploadCapabilities(
            object_max_bytes=config.part_max_bytes * JOIN_PARTS_MAX,
            part_min_bytes=1,
            part_max_bytes=config.part_max_bytes,
            parts_max=JOIN_PARTS_MAX,
        ),
        list=ListCapabilities(page_max=1000),
        range=RangeCapabilities(),
        copy=CopyCapabilities(),
        url=UrlCapabilities(expires_max_s=URL_MAX_S),
    )
