"""What the suite's own tests share."""

import os
from pathlib import Path

import pytest

ODD = Path(__file__).resolve().parent / "odd"


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let workers find the misbehaving providers, and keep ledgers in a folder of the test."""
    monkeypatch.setenv("PYTHONPATH", str(ODD), prepend=os.pathsep)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
