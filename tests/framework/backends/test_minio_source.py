"""Where MinIO comes from, on a real engine; a stand-in for the binary is wrapped, never started."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from holdfast.backends.engine_client import engine_client
from holdfast.backends.images import BASE_IMAGE
from holdfast.backends.minio_source import (
    BINARY_SETTING,
    IMAGE_SETTING,
    FoundMinio,
    MinioSource,
    fetch_minio,
    find_minio,
)
from holdfast.errors import ConfigurationError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("run")]
NO_REGISTRY = "127.0.0.1:1/minio:none"


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named by the setting, on a machine whose registry does not answer."""
    path = tmp_path / "minio"
    path.write_text(f"#!/bin/sh\necho minio version {tmp_path.name}\n")
    path.chmod(0o755)
    monkeypatch.setenv(IMAGE_SETTING, NO_REGISTRY)
    monkeypatch.setenv(BINARY_SETTING, str(path))
    return path


def test_an_image_that_is_present_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image that the setting names is used as it is, when the engine has it."""
    monkeypatch.setenv(IMAGE_SETTING, BASE_IMAGE)

    found = asyncio.run(find_minio())

    assert (found.source, found.image) == (MinioSource.IMAGE, BASE_IMAGE)


def test_a_binary_is_wrapped_once_and_known_by_its_digest(binary: Path) -> None:
    """Without a registry the binary becomes a local image, named after its digest."""

    async def story() -> tuple[FoundMinio, FoundMinio]:
        return await fetch_minio(lambda _: None), await find_minio()

    made, found = asyncio.run(story())

    try:
        assert made == found
        assert made.source is MinioSource.BINARY
        assert made.sha256 == hashlib.sha256(binary.read_bytes()).hexdigest()
        with engine_client() as client:
            said: bytes = client.containers.run(made.image, ["minio"], remove=True)
        assert said.decode().split()[-1] == binary.parent.name
    finally:
        with engine_client() as client:
            client.images.remove(made.image)


def test_a_setting_that_names_no_program_is_refused(
    binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong path is named together with the setting it came from."""
    monkeypatch.setenv(BINARY_SETTING, f"{binary}.missing")

    with pytest.raises(ConfigurationError, match=f"{BINARY_SETTING} names .*missing"):
        asyncio.run(fetch_minio(lambda _: None))


def test_a_program_that_is_no_minio_is_not_wrapped(binary: Path) -> None:
    """Whatever the setting names must say that it is MinIO; nothing is built from another."""
    binary.write_text("#!/bin/sh\necho true 9.1\n")
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()

    with pytest.raises(ConfigurationError, match=r"is no MinIO: .* it says 'true 9\.1'"):
        asyncio.run(fetch_minio(lambda _: None))

    with engine_client() as client:
        assert client.images.list(filters={"label": f"holdfast.minio.sha256={digest}"}) == []
