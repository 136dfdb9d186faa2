"""Images made from folders, on a real engine."""

import asyncio
import shutil
from pathlib import Path

import pytest

import tiny_server
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast_drivers.servers.base_image import registry_refusal
from holdfast_drivers.servers.container_client import engine_client
from holdfast_drivers.servers.container_images import (
    ImageRecipe,
    build_image,
    image_reference,
    image_tag,
)
from holdfast_drivers.servers.logged_command import log_path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("run")]
TINY = Path(tiny_server.__file__).parent / "tiny_image"


def tag_of(recipe: ImageRecipe) -> str:
    with engine_client() as client:
        return image_tag(client, recipe)


def inside(image: str, command: str) -> str:
    with engine_client() as client:
        said: bytes = client.containers.run(image, ["sh", "-c", command], remove=True)
        return said.decode()


def test_an_image_is_built_once_and_again_when_its_folder_changes(tmp_path: Path) -> None:
    """The name follows from the folder's content: unchanged is found, changed is another image."""
    folder = tmp_path / "image"
    shutil.copytree(TINY, folder)
    recipe = ImageRecipe(name="holdfast/tiny", folder=folder)
    lines: list[str] = []

    first = asyncio.run(build_image(recipe, lambda _: None))
    again = asyncio.run(build_image(recipe, lines.append))
    before = tag_of(recipe)
    with (folder / "Dockerfile").open("a") as file:
        file.write("LABEL changed=1\n")

    assert (again, lines) == (first, [])
    assert tag_of(recipe) != before
    with engine_client() as client:
        assert image_reference(client, ImageRecipe(name="holdfast/tiny", folder=TINY)) == before


def test_the_host_s_configuration_is_there_in_the_build_and_gone_in_the_image() -> None:
    """Sources and certificates reach the build; the image has neither files nor addresses."""
    recipe = ImageRecipe(name="holdfast/tiny", folder=TINY)
    asyncio.run(build_image(recipe, lambda _: None))

    assert inside(tag_of(recipe), "grep -c given /given") == "2\n"
    assert inside(tag_of(recipe), "cat /etc/apt/sources.list.d/debian.sources | wc -c") == "0\n"
    assert inside(tag_of(recipe), "test -s /etc/pip.conf && cat /etc/pip.conf; true") == ""


def test_a_build_that_fails_shows_its_end_and_keeps_its_log(tmp_path: Path) -> None:
    """The error quotes the last lines and names the file with all of them."""
    dockerfile = "FROM holdfast/base:bookworm\nRUN echo the cause is told >&2; exit 9\n"
    (tmp_path / "Dockerfile").write_text(dockerfile)
    recipe = ImageRecipe(name="holdfast/failing", folder=tmp_path)

    with pytest.raises(EnvironmentUnavailable, match="the cause is told") as caught:
        asyncio.run(build_image(recipe, lambda _: None))

    log = log_path("build-holdfast-failing")
    assert str(log) in str(caught.value)
    assert "the cause is told" in log.read_text()


def test_a_folder_without_a_dockerfile_is_named(tmp_path: Path) -> None:
    """A recipe that cannot be built says which folder is wrong."""
    with pytest.raises(ConfigurationError, match=f"{tmp_path} has no Dockerfile"):
        asyncio.run(build_image(ImageRecipe(name="holdfast/none", folder=tmp_path), print))


def test_a_registry_that_does_not_answer_is_a_reason_and_no_error() -> None:
    """An image that no registry has is told with its cause, in a bounded time."""
    refusal = registry_refusal("127.0.0.1:1/holdfast/nobody:none")

    assert refusal is not None
    assert "127.0.0.1:1" in refusal
