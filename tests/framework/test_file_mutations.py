"""What the system refuses names the file that it was refused for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.files import kernel_copies, mutations
from holdfast.files.mutations import OpenFile


def _write(file: OpenFile) -> None:
    mutations.write_at(file, 0, b"x")


def _truncate(file: OpenFile) -> None:
    mutations.truncate(file, 0)


def _clone(file: OpenFile) -> None:
    kernel_copies.clone_range(file, file)


def _copy(file: OpenFile) -> None:
    kernel_copies.copy_range(file, 0, file, 0, 1)


@pytest.mark.parametrize("change", [_write, _truncate, _clone, _copy, mutations.fsync_file])
def test_an_error_names_its_file(change: Callable[[OpenFile], None]) -> None:
    """A change that is refused for an open file says for which, so that a full disk is found."""
    full = Path("/dev/full")
    with mutations.open_existing(full, writable=True) as file, pytest.raises(OSError) as caught:  # noqa: PT011 - of any kind
        change(file)
    assert caught.value.filename == "/dev/full"
