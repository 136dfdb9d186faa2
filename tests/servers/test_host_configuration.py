"""What of this machine's configuration reaches a build, and how."""

from pathlib import Path

import pytest

from holdfast_drivers.servers import host_configuration
from holdfast_drivers.servers.host_configuration import all_host_sources, build_secrets

ONE_LINE = """\
# a comment
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian bookworm main x
deb-src http://mirror.example/debian bookworm main
deb http://security.example/debian bookworm-security main # why not
"""
STANZAS = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main x
Architectures: amd64
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
URIs: http://security.example/debian
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a ``sources.list`` and no folder of sources."""
    path = tmp_path / "sources.list"
    monkeypatch.setattr(host_configuration, "_SOURCES", path)
    monkeypatch.setattr(host_configuration, "_SOURCES_FOLDER", tmp_path / "none")
    return path


def test_old_style_sources_become_one_file_of_stanzas(sources: Path, tmp_path: Path) -> None:
    """Binary sources of ``sources.list`` reach a build in the form its Dockerfile mounts."""
    sources.write_text(ONE_LINE)
    folder = tmp_path / "private"
    folder.mkdir()

    found = all_host_sources(folder)

    assert found is not None
    assert found.read_text() == STANZAS
    assert found.stat().st_mode & 0o077 == 0


def test_a_machine_without_sources_gives_none(sources: Path, tmp_path: Path) -> None:
    """No file, and one without a binary source, are the same: nothing."""
    before = all_host_sources(tmp_path)
    sources.write_text("# nothing here\n")

    assert (before, all_host_sources(tmp_path)) == (None, None)


def test_pip_settings_of_the_environment_reach_a_build_privately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that a person gave by environment are merged into one file for its owner's eyes."""
    own = tmp_path / "own.conf"
    own.write_text("[global]\ntimeout = 5\n")
    monkeypatch.setattr(host_configuration, "_PIP_FILES", ())
    monkeypatch.setenv("PIP_CONFIG_FILE", str(own))
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:canary@index.example/simple")
    folder = tmp_path / "private"
    folder.mkdir()

    path = build_secrets(folder)["pip"]

    assert path.stat().st_mode & 0o077 == 0
    assert "timeout = 5" in path.read_text()
    assert "index-url = https://user:canary@index.example/simple" in path.read_text()
