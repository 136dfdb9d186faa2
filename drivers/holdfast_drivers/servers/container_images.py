"""Images of the servers: built here from a driver's folder, named after what they are made of."""

import hashlib
from pathlib import Path
from typing import Any, NewType

from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast_drivers.servers.build_command import LABEL_IMAGE, build_with_secrets
from holdfast_drivers.servers.container_client import docker_module, engine_client
from holdfast_drivers.servers.logged_command import CommandRun, Progress, run_interruptibly
from holdfast_drivers.servers.owner_process import machine_lock
from holdfast_drivers.servers.server_specs import ImageRecipe

__all__ = ["BASE_IMAGE", "ImageId", "ImageRecipe", "Progress", "build_image", "image_tag"]

ImageId = NewType("ImageId", str)
BASE_IMAGE = "holdfast/base:bookworm"
_BUILD = "run: holdfast backends build"


async def build_image(recipe: ImageRecipe, progress: Progress) -> ImageId:
    """Build an image, or find it built; the base image is there already.

    Raises:
        EnvironmentUnavailable: no engine, no base image, or the build failed; says where its log
            is.
    """
    return await run_interruptibly(progress, lambda commands: _build(recipe, commands))


def _build(recipe: ImageRecipe, commands: CommandRun) -> ImageId:
    with engine_client() as client, machine_lock(f"build-{recipe.name.replace('/', '-')}"):
        tag = image_tag(client, recipe)
        image = image_id(client, tag)
        if image is None:
            build_with_secrets(commands, name=recipe.name, tag=tag, folder=recipe.folder)
            image = image_id(client, tag)
    if image is None:
        raise EnvironmentUnavailable(f"the image {tag} was built and is not there")
    return image


def image_tag(client: Any, recipe: ImageRecipe) -> str:
    """Blocking: the image's full name, from its folder's content and the base image."""
    base = image_id(client, BASE_IMAGE)
    if base is None:
        raise EnvironmentUnavailable(f"the base image {BASE_IMAGE} is missing; {_BUILD}")
    digest = hashlib.sha256(base.encode())
    digest.update(folder_digest(recipe.folder))
    return f"{recipe.name}:{digest.hexdigest()[:16]}"


def folder_digest(folder: Path) -> bytes:
    """A digest of every file's name, mode and bytes; byte code of Python excepted."""
    if not (folder / "Dockerfile").is_file():
        raise ConfigurationError(f"{folder} has no Dockerfile")
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            head = f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111}\0"
            digest.update(head.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def image_reference(client: Any, image: ImageRecipe | str) -> str:
    """Blocking: what to start for a server; ``EnvironmentUnavailable`` when it is not there."""
    name = image if isinstance(image, str) else image_tag(client, image)
    if image_id(client, name) is None:
        raise EnvironmentUnavailable(f"the image {name} is missing; {_BUILD}")
    return name


def image_id(client: Any, name: str) -> ImageId | None:
    try:
        return ImageId(str(client.images.get(name).id))
    except docker_module().errors.ImageNotFound:
        return None


def remove_images() -> tuple[str, ...]:
    """Blocking: remove every image of this project that nothing uses; their names."""
    removed: list[str] = []
    with engine_client() as client:
        for image in client.images.list(filters={"label": LABEL_IMAGE}):
            tags = [str(tag) for tag in image.tags]
            for tag in tags or [str(image.id)]:
                client.images.remove(tag)
                removed.append(tag)
    return tuple(removed)
