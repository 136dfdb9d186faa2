"""What leaves a driver as an error: a ``DriverError`` that names its verb and object, always."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.contract.errors import DriverError, Internal
from holdfast.contract.requests import Request

_MESSAGE_MAX: Final = 300


def _foreign(error: Exception, secrets: tuple[str, ...]) -> str:
    """What to say of an exception that no driver should raise; no message that holds a secret."""
    name = type(error).__name__
    if isinstance(error, DriverError):
        return f"the driver raised {name}, which is not one of the errors a driver may raise"
    try:
        text = str(error)
        message = " ".join(text.split())[:_MESSAGE_MAX]
        hidden = not message or any(secret and secret in text for secret in secrets)
    except Exception as broken:  # noqa: BLE001 - the message is foreign code, too
        return f"the driver raised {name}, whose message raised {type(broken).__name__}"
    return f"the driver raised {name}" if hidden else f"the driver raised {name}: {message}"


def subject_of(request: Request) -> str:
    """The key of the object that a request is about, or an empty string."""
    for field in ("key", "upload", "volume", "host", "name"):
        value = getattr(request, field, "")
        if isinstance(value, str) and value:
            return value
    return ""


def as_driver_error(
    error: Exception, verb: str, subject: str, secrets: tuple[str, ...]
) -> DriverError:
    """The error itself where it is a driver's, with verb and object filled in; else ``Internal``.

    Whoever raises what comes back does so ``from error`` where it is another one.
    """
    if isinstance(error, DriverError) and hasattr(error, "kind"):
        error.verb = verb
        error.object = error.object or subject
        return error
    return Internal(_foreign(error, secrets), object=subject, verb=verb)


@contextmanager
def typed(verb: str, subject: str, secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Let only driver errors out, each with its verb and object filled in.

    Anything else that is an ``Exception`` becomes ``Internal`` with the original as its cause;
    cancellation and other ``BaseException`` pass.
    """
    try:
        yield
    except Exception as error:
        refusal = as_driver_error(error, verb, subject, secrets)
        if refusal is error:
            raise
        raise refusal from error
