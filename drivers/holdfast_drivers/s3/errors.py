"""The one table from what an S3 server and its client library say to what Holdfast says."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from holdfast.contract.errors import (
    Busy,
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    Invalid,
    NotFound,
    OutOfRange,
    Unauthenticated,
    Unavailable,
    Unknown,
    Unsupported,
)
from holdfast.data.tls import handshake_refusal
from holdfast_drivers.s3.library import exceptions as botocore

_REFUSALS: Final[Mapping[str, tuple[type[DriverError], str]]] = {
    "InvalidAccessKeyId": (Unauthenticated, "the server does not know setting access_key"),
    "SignatureDoesNotMatch": (Unauthenticated, "setting secret_key does not belong to access_key"),
    "InvalidSecurity": (Unauthenticated, "settings access_key and secret_key are not accepted"),
    "ExpiredToken": (Unauthenticated, "the credentials have expired"),
    "RequestTimeTooSkewed": (Unauthenticated, "this machine's clock differs from the server's"),
    "AuthorizationHeaderMalformed": (Invalid, "setting region is not the server's region"),
    "PermanentRedirect": (Invalid, "settings endpoint and region are not those of the bucket"),
    "AccessDenied": (Denied, "access_key may not do this"),
    "AllAccessDisabled": (Denied, "access_key may not do this"),
    "AccountProblem": (Denied, "access_key may not do this"),
    "UserSuspended": (Denied, "the user of access_key is disabled"),
    "400": (Invalid, "setting endpoint is no S3 server's address, or must say https:"),
    "403": (Denied, "access_key may not do this, or secret_key does not belong to it"),
    "NoSuchBucket": (NotFound, "the bucket that setting bucket names does not exist"),
    "InvalidBucketName": (Invalid, "setting bucket is no name of a bucket"),
    "SlowDown": (Busy, "the server asks to slow down"),
    "SlowDownRead": (Busy, "the server asks to slow down"),
    "SlowDownWrite": (Busy, "the server asks to slow down"),
    "OperationAborted": (Busy, "another operation on the same thing is under way"),
    "ConditionalRequestConflict": (Busy, "another operation on the same thing is under way"),
    "ServiceUnavailable": (Unavailable, "the server does not take requests now"),
    "XMinioServerNotInitialized": (Unavailable, "the server is still starting"),
    "XMinioStorageFull": (Exhausted, "the server's disk is full"),
    "XMinioBackendDown": (Unavailable, "the server's disks are away"),
    "QuotaExceeded": (Exhausted, "the quota of the bucket is used up"),
    "XMinioAdminBucketQuotaExceeded": (Exhausted, "the quota of the bucket is used up"),
    "InsufficientStorage": (Exhausted, "the server's disk is full"),
    "507": (Exhausted, "the server's disk is full"),
    "BadDigest": (Corrupt, "what arrived is not what was sent"),
    "InvalidDigest": (Corrupt, "what arrived is not what was sent"),
    "XAmzContentSHA256Mismatch": (Corrupt, "what arrived is not what was sent"),
    "XAmzContentChecksumMismatch": (Corrupt, "what arrived is not what was sent"),
    "EntityTooLarge": (OutOfRange, "the server does not take that many bytes at once"),
    "NotImplemented": (Unsupported, "the server cannot do this"),
    "InvalidRequest": (Invalid, "the server refuses the request"),
    "InvalidArgument": (Invalid, "the server refuses the request"),
    "KeyTooLongError": (Invalid, "setting namespace is too long"),
}
_NEVER_SENT: Final = (
    botocore.ConnectTimeoutError,
    botocore.ProxyConnectionError,
    botocore.InvalidProxiesConfigError,
)


def code_of(error: Exception) -> str:
    """The code of a refusal by the server; for one without a body, the HTTP status."""
    response: Mapping[str, Any] | None = getattr(error, "response", None)
    if response is None:
        return ""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = str(response.get("Error", {}).get("Code", ""))
    return "507" if status == _FULL else code or str(status)


_FULL: Final = 507


def driver_error(error: Exception, server: str, what: str) -> DriverError:
    """What an error of the client library means; ``what`` is what was asked, without a secret.

    Only the code that the server gave is repeated: its own messages may hold keys and signatures.
    """
    if isinstance(error, botocore.ClientError):
        return _refusal(error, server, what)
    if isinstance(error, botocore.ParamValidationError):
        return Invalid("setting bucket or namespace cannot be used: no server takes such a name")
    if refused := handshake_refusal(error, server, "endpoint"):
        return refused
    if _was_refused(error):
        return Unavailable(f"{server} cannot be reached: {what} was not sent")
    hint = "; see whether setting endpoint must say https:" if _is_plain(error) else ""
    name = type(error).__name__
    return Unknown(f"{server} gave no answer to be trusted to {what}: {name}{hint}")


def _is_plain(error: Exception) -> bool:
    """Whether a connection that is not encrypted was closed before it brought an answer."""
    address = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    return isinstance(error, botocore.ConnectionClosedError) and address.startswith("http:")


def _was_refused(error: Exception) -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    if isinstance(error, (*_NEVER_SENT, botocore.SSLError)):
        return True  # a connection that was never encrypted was never written to
    if not isinstance(error, botocore.EndpointConnectionError):
        return False
    cause: object = getattr(error, "kwargs", {}).get("error")
    return isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _refusal(error: Any, server: str, what: str) -> DriverError:
    code = code_of(error)
    kind, meaning = _REFUSALS.get(code, (Unknown, "the server failed"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if kind is Unknown and 400 <= status < 500:
        kind, meaning = Invalid, "the server refuses the request"
    if kind is Unknown and status == 501:
        kind, meaning = Unsupported, "the server cannot do this"
    return kind(f"{meaning} ({code}; {what} at {server})")
