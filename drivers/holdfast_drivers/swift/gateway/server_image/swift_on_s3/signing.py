"""AWS signature version 4, for the few kinds of requests that the gateway makes."""

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

UNSIGNED = "UNSIGNED-PAYLOAD"
"""For a body that is sent while it is read, so that no digest of it is known beforehand."""
_SAFE = "-_.~"


@dataclass(frozen=True)
class Credentials:
    """Who the gateway is to the S3 server; the secret shows in no representation."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"


def quoted_path(path: str) -> str:
    """A path as it is sent and signed."""
    return urllib.parse.quote(path, safe="/" + _SAFE)


def quoted_query(query: Mapping[str, str]) -> str:
    """A query as it is sent and signed: sorted, everything escaped."""
    return "&".join(
        f"{urllib.parse.quote(key, safe=_SAFE)}={urllib.parse.quote(value, safe=_SAFE)}"
        for key, value in sorted(query.items())
    )


def _mac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")


def signed_headers(
    credentials: Credentials,
    method: str,
    place: str,
    *,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload: str,
) -> dict[str, str]:
    """All headers of a request, its signature among them.

    ``place`` is the host and, from the first slash on, the path. ``payload`` is the SHA-256 of the
    body in hexadecimal, or ``UNSIGNED``.
    """
    host, slash, rest = place.partition("/")
    path = slash + rest
    now = datetime.now(UTC)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    every = {key.lower(): value for key, value in headers.items()}
    every |= {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    names = ";".join(sorted(every))
    canonical = "\n".join(
        (
            method,
            quoted_path(path),
            quoted_query(query),
            *(f"{name}:{every[name].strip()}" for name in sorted(every)),
            "",
            names,
            payload,
        )
    )
    scope = f"{day}/{credentials.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = _mac(key, part)
    signature = _mac(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}").hex()
    every["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return every
