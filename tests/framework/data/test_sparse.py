"""Copies of sparse files where the system copies less than it was asked for."""

import os
from pathlib import Path

import pytest

from holdfast.data.sparse import copy_sparse
from holdfast.files.mutations import (
    Mutation,
    MutationKind,
    create_exclusive,
    observe,
    open_existing,
)

SIZE_BYTES = 3 << 20


def _copy(tmp_path: Path) -> bytes:
    with open_existing(tmp_path / "source") as source, create_exclusive(tmp_path / "copy") as copy:
        copy_sparse(source, copy, SIZE_BYTES)
    return (tmp_path / "copy").read_bytes()


def test_what_the_kernel_does_not_copy_is_copied_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system whose own copy stops short costs time and no bytes."""
    content = os.urandom(SIZE_BYTES)
    (tmp_path / "source").write_bytes(content)
    in_the_kernel = os.copy_file_range

    def short(source: int, target: int, count: int, at: int, to: int) -> int:
        return in_the_kernel(source, target, 4096, at, to) if at == 0 < count else 0

    monkeypatch.setattr(os, "copy_file_range", short)
    assert _copy(tmp_path) == content


def test_a_source_that_is_cut_off_meanwhile_is_no_copy(tmp_path: Path) -> None:
    """Bytes that are gone from the source are never silently read as zeroes."""
    (tmp_path / "source").write_bytes(os.urandom(SIZE_BYTES))

    class Cutting:
        def before(self, mutation: Mutation) -> None:
            if mutation.kind is MutationKind.COPY:
                os.truncate(tmp_path / "source", 4096)

        def after(self, mutation: Mutation) -> None:
            """Nothing to do."""

    with observe(Cutting()), pytest.raises(OSError, match="ended early") as caught:
        _copy(tmp_path)
    assert caught.value.filename == str(tmp_path / "source")
