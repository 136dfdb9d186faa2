"""What a small file on an export says, while other calls replace and remove it."""

import errno
from typing import Any, cast

import msgspec
import pytest

from holdfast_drivers.nfs.libnfs import Client
from holdfast_drivers.nfs.store_folder import decoded


class Row(msgspec.Struct, frozen=True):
    """A row."""

    number: int


class Looks:
    """An export on which each look at a file ends as planned."""

    def __init__(self, *ends: bytes | int) -> None:
        self._ends = list(ends)

    def read(self, path: str) -> bytes:
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        if isinstance(end, int):
            raise OSError(end, errno.errorcode[end], path)
        return end


def seen(*ends: bytes | int) -> Row | None:
    return decoded(cast("Client", cast("Any", Looks(*ends))), "/uploads/one", Row)


@pytest.mark.parametrize("times", range(8))
def test_a_row_that_is_replaced_while_it_is_read_is_read_again(times: int) -> None:
    """What is there now is the answer, and no error of a file that is gone."""
    assert seen(*[errno.ESTALE] * times, b'{"number":2}') == Row(2)


@pytest.mark.parametrize("times", range(8))
def test_a_row_that_is_removed_while_it_is_read_is_absent(times: int) -> None:
    """A completion that another one overtook has nothing left to do, and says so."""
    assert seen(*[errno.ESTALE] * times, errno.ENOENT) is None


def test_an_export_on_which_everything_is_stale_is_no_endless_loop() -> None:
    """It is told as it is."""
    with pytest.raises(OSError, match="ESTALE") as stale:
        seen(errno.ESTALE)

    assert stale.value.errno == errno.ESTALE
