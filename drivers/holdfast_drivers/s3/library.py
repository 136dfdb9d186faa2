"""The S3 client library, which brings no types: what is used of it, as ``Any``."""

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Final

exceptions: Final[Any] = import_module("botocore.exceptions")
"""What it raises."""
_session: Final[list[Any]] = []
"""The process's one session: it caches the models of services, and holds no credentials."""


def config(**settings: Any) -> Any:
    """Settings of a client."""
    return import_module("aiobotocore.config").AioConfig(**settings)


def open_client(service: str, **settings: Any) -> AbstractAsyncContextManager[Any]:
    """A client of a service, which connects when it is first used."""
    if not _session:
        _session.append(import_module("aiobotocore.session").AioSession())
    context: AbstractAsyncContextManager[Any] = _session[0].create_client(service, **settings)
    return context
