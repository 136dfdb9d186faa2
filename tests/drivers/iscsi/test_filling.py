"""What the iSCSI testbed does to a disk: only to one of its own."""

from pathlib import Path

import pytest

from holdfast_drivers.iscsi import inspection


def test_a_disk_that_is_everybodys_is_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where volumes are on the disk of the machine, filling is refused and writes nothing."""
    full = tmp_path / "full"
    monkeypatch.setattr(inspection, "_SHARED", tmp_path)
    monkeypatch.setattr(inspection, "_FULL", full)
    with pytest.raises(OSError, match="no file system of its own"):
        inspection.fill()
    assert not full.exists()
