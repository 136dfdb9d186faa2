"""Where MinIO comes from, on a real engine; a stand-in for the binary is wrapped, never started."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from holdfast.contract.errors import ConfigurationError
from holdfast_drivers.servers import minio_source
from holdfast_drivers.servers.container_client import engine_client
from holdfast_drivers.servers.container_images import BASE_IMAGE
from holdfast_drivers.servers.minio_source import (
    BINARY_SETTING,
    IMAGE_SETTING,
    FoundMinio,
    MinioSource,
    fetch_minio,
    find_minio,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("run")]
NO_REGISTRY = "127.0.0.1:1/minio:none"


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named by the setting, on a machine whose registry does not answer."""
    path = tmp_path / "minio"
    path.write_text(f"#!/bin/sh\necho minio version {tmp_path.name}\n")
    path.chmod(0o755)
    monkeypatch.setenv(IMAGE_SETTING, NO_REGISTRY)
    # Nobody else on this machine is to take what is wrapped here for a MinIO.
    monkeypatch.setattr(minio_source, "_LABEL_SHA256", f"holdfast.test.{tmp_path.name}")
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
        label = f"{minio_source._LABEL_SHA256}={digest}"  # pyright: ignore[reportPrivateUsage]
        assert client.images.list(filters={"label": label}) == []


def test_a_program_on_the_path_that_is_no_minio_is_told_of(
    binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens to be called minio stops nothing: there is none, and the reason is said."""
    binary.write_text("#!/bin/sh\necho true 9.1\n")
    monkeypatch.delenv(BINARY_SETTING)
    monkeypatch.setenv("PATH", str(binary.parent), prepend=os.pathsep)

    found = asyncio.run(fetch_minio(lambda _: None))

    assert (found.source, found.image) == (MinioSource.NOWHERE, None)
    assert "is no MinIO" in found.detail
