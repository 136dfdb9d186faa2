"""The S3 client library, which brings no types: what is used of it, as ``Any``."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Final

exceptions: Final[Any] = import_module("botocore.exceptions")
"""What it raises."""
_session: Final[list[Any]] = []
"""The process's one session: it caches the models of services, and holds no credentials."""


def config(**settings: Any) -> Any:
    """Settings of a client that sends every request once."""
    make = import_module("aiobotocore.config").AioConfig
    return make(http_session_cls=_sending_once(), **settings)


def _sending_once() -> type:
    """A session that leaves it to us to repeat a request whose connection broke.

    The HTTP library would send it again over a new connection by itself. Where that one is refused,
    it would look as if nothing had ever been sent; and it has no other switch for that.
    """
    base: Any = import_module("aiobotocore.httpsession").AIOHTTPSession

    async def get_session(self: Any, proxy_url: Any) -> Any:
        session = await base._get_session(self, proxy_url)  # noqa: SLF001 - made nowhere else
        session._retry_connection = False  # noqa: SLF001 - see above
        return session

    return type("SendingOnce", (base,), {"_get_session": get_session})


def open_client(service: str, **settings: Any) -> AbstractAsyncContextManager[Any]:
    """A client of a service, which connects when it is first used."""
    if not _session:
        _session.append(import_module("aiobotocore.session").AioSession())
    context: AbstractAsyncContextManager[Any] = _session[0].create_client(service, **settings)
    return context
