"""Whom an encrypted connection trusts, and what one that does not come about says of the settings.

Drivers that speak HTTPS have the setting ``ca_file`` in common, and so the errors about it.
"""

import ssl
from collections.abc import Iterator

from holdfast.contract.errors import Invalid

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})


def trusting(ca_file: str) -> ssl.SSLContext:
    """What trusts the certificates in a file, or where it is empty the host's own. It blocks.

    Raises:
        Invalid: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError:
        raise Invalid(f"setting ca_file: {ca_file!r} holds no certificates in PEM form") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Invalid(f"setting ca_file: {ca_file!r} cannot be read: {reason}") from None


def handshake_refusal(problem: BaseException, server: str, setting: str) -> Invalid | None:
    """The error for a connection that could never be encrypted; ``None`` for any other problem.

    Nothing was sent through it.

    Args:
        problem: what the client library raised.
        server: what the server is called in messages.
        setting: the name of the setting with the server's address.
    """
    for cause in _chain(problem):
        why = getattr(cause, "verify_message", "")
        if isinstance(cause, ssl.SSLCertVerificationError) and why:
            return Invalid(
                f"{server} shows a certificate that setting ca_file does not vouch for: {why}"
            )
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", "") in _NO_TLS:
            return Invalid(
                f"{server} does not speak TLS; see whether setting {setting} must say http:"
            )
    return None


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """A problem and all that led to it; libraries wrap it in errors of their own."""
    cause: BaseException | None = problem
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
