"""Files that a run writes: what keeps one from being written is told with its path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.contract.errors import EnvironmentUnavailable


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write into ``path`` within; ``EnvironmentUnavailable`` where the machine does not let us."""
    try:
        yield
    except OSError as problem:
        raise EnvironmentUnavailable(
            f"{problem.filename or path} cannot be written: {problem.strerror}; "
            "make room or give access, and run again"
        ) from problem
