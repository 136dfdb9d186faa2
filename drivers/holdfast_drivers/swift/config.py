"""What the driver is told, and what it declares."""

import re
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

PARTS_MAX: Final = 1000
"""Swift's own default for the segments of one large object."""
PAGE_MAX: Final = 1000
URL_MAX_S: Final = 7 * 24 * 3600
"""How long a temporary address works at most. Swift has no limit: this one is ours, S3's."""
_SEGMENT_MAX_BYTES: Final = 5 << 30
_SEGMENT_MIN_BYTES: Final = 1 << 16
_CONTAINER: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class SwiftConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An image store in a container of a Swift account.

    Args:
        auth_url: where version 1 of the authentication answers, such as
            ``https://swift.example.org/auth/v1.0``.
        user: the user, such as ``account:user``.
        key: the user's secret key.
        namespace: the container of the store. 3 to 63 of ``a-z``, ``0-9`` and ``-``; nothing else
            in the account is touched.
        ca_file: the certificates of those who may vouch for the server, where the host's do not.
        segment_bytes: the largest part of an upload, which is also the largest segment stored.
    """

    auth_url: str
    user: str
    key: str
    namespace: str
    ca_file: str = ""
    segment_bytes: int = 16 << 20


def check_config(config: SwiftConfig) -> None:
    """Refuse what names no place that could ever be a store.

    Raises:
        Invalid: says which setting is wrong.
    """
    try:
        parts = urlsplit(config.auth_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        usable = usable and parts.username is None and config.auth_url.isascii()
    except ValueError:
        usable = False
    if not usable or not config.auth_url.isprintable():
        raise Invalid("setting `auth_url` is no http or https address of an authentication server")
    for name, value in (("user", config.user), ("key", config.key)):
        if not value or not value.isascii() or not value.isprintable():
            raise Invalid(f"setting `{name}` is empty or has characters that no header can carry")
    if _CONTAINER.fullmatch(config.namespace) is None:
        raise Invalid(
            f"setting `namespace` is {config.namespace!r}, which names no container: "
            "3 to 63 of a-z, 0-9 and -"
        )
    if not _SEGMENT_MIN_BYTES <= config.segment_bytes <= _SEGMENT_MAX_BYTES:
        raise Invalid(
            f"setting `segment_bytes` is outside {_SEGMENT_MIN_BYTES}..{_SEGMENT_MAX_BYTES}"
        )


def capabilities_of(config: SwiftConfig) -> ImageCapabilities:
    """What a store with this configuration can do."""
    return ImageCapabilities(
        upload=UploadCapabilities(
            object_max_bytes=config.segment_bytes * PARTS_MAX,
            part_min_bytes=1,
            part_max_bytes=config.segment_bytes,
            parts_max=PARTS_MAX,
        ),
        list=ListCapabilities(page_max=PAGE_MAX),
        range=RangeCapabilities(),
        copy=CopyCapabilities(),
        url=UrlCapabilities(expires_max_s=URL_MAX_S),
    )
