"""The one table from what the operating system says to what Holdfast says."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

from holdfast.contract.errors import (
    Conflict,
    Corrupt,
    Denied,
    DriverError,
    Exhausted,
    Invalid,
    OutOfRange,
    Unknown,
)

P = ParamSpec("P")
T = TypeVar("T")

ERRORS: Final[dict[int, type[DriverError]]] = {
    errno.ENOSPC: Exhausted,
    errno.EDQUOT: Exhausted,
    errno.EMFILE: Exhausted,
    errno.ENFILE: Exhausted,
    errno.EMLINK: Exhausted,
    errno.EFBIG: OutOfRange,
    errno.EACCES: Denied,
    errno.EPERM: Denied,
    errno.EROFS: Denied,
    errno.EUCLEAN: Corrupt,
    errno.ENAMETOOLONG: Invalid,
    errno.ELOOP: Invalid,
    errno.EEXIST: Conflict,
    errno.ENOTDIR: Corrupt,
    errno.EISDIR: Corrupt,
}
"""What is not here, an input/output error above all, leaves the outcome ``Unknown``."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
SET_APART: Final = frozenset(
    {errno.EUCLEAN, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EIO}
)
"""What is wrong with one entry of a folder and says nothing of the others."""


@contextlib.contextmanager
def after_the_fact(key: str = "") -> Iterator[None]:
    """For what follows a change that is made already: whatever goes wrong is ``Unknown``.

    A final error would promise that nothing happened, however plain its cause is.
    """
    try:
        yield
    except DriverError as error:
        if not error.final:
            raise
        raise Unknown(f"{error.cause}; what was asked for may be done", object=key) from error
    except OSError as error:
        cause = driver_error(error).cause
        raise Unknown(f"{cause}; what was asked for may be done", object=key) from error


def driver_error(error: OSError, key: str = "") -> DriverError:
    """The driver error that says what an ``OSError`` means; its cause names the file."""
    kind = ERRORS.get(error.errno or 0, Unknown)
    where = f"{error.filename}: " if error.filename else ""
    return kind(f"{where}{error.strerror or error}", object=key)


def attempt(key: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` and let only driver errors out."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        raise driver_error(error, key) from error


@contextlib.contextmanager
def whatever_is_full(frees: bool) -> Iterator[None]:
    """Let a call go on that gives space back, where there was none for its fence."""
    try:
        yield
    except OSError as error:
        if not frees or error.errno not in FULL:
            raise
