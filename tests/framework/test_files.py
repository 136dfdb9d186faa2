"""What the system refuses names the file that it was refused for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast import files
from holdfast.files import OpenFile


@pytest.mark.parametrize(
    "change",
    [
        lambda file: files.write_at(file, 0, b"x"),
        lambda file: files.truncate(file, 0),
        files.fsync_file,
        lambda file: files.clone_range(file, file),
        lambda file: files.copy_range(file, 0, file, 0, 1),
    ],
    ids=["write", "truncate", "fsync", "clone", "copy"],
)
def test_an_error_names_its_file(change: Callable[[OpenFile], object]) -> None:
    """A change that is refused for an open file says for which, so that a full disk is found."""
    full = Path("/dev/full")
    with files.open_existing(full, writable=True) as file, pytest.raises(OSError) as caught:  # noqa: PT011 - of any kind
        change(file)
    assert caught.value.filename == "/dev/full"
