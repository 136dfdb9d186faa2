"""Sets the stage for the story in a folder, plays it, and clears what was only staging."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from holdfast.assembly import open_orchestrator
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import UsageError
from holdfast.contract.handles import FileHandle
from holdfast.contract.requests import Role
from holdfast.data import open_block_io
from holdfast.data.convert import make_raw
from holdfast.data.digest import content_digest
from holdfast.data.disk_images import ImageFormat, inspect_image
from holdfast.demo.image import build_image
from holdfast.demo.stage import Stage
from holdfast.demo.story import Cast, Chapter, Comparison, Story
from holdfast.files import mutations

CATALOGUE = "catalogue.sqlite"
_STAGING = "staging"


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """How the story ended."""

    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        """Whether every digest agrees, and there was one."""
        return bool(self.comparisons) and all(one.agrees for one in self.comparisons)


async def play(
    folder: Path,
    image: Path | None,
    tell: Callable[[Chapter], None],
    stage: Stage | None = None,
) -> Played:
    """Play the story in an empty folder; the catalogue and stores in folders stay there.

    ``stage`` says where the stores are instead, where servers are to keep them.

    Raises:
        UsageError: the folder is not empty: a story is told once.
        HoldfastError: what went wrong, for people.
    """
    with prepared_folder(folder):
        async with (
            staged_image(folder, image, stage or Stage()) as cast,
            open_catalogue(folder / CATALOGUE) as catalogue,
            open_orchestrator(catalogue) as orchestrator,
        ):
            story = Story(orchestrator, cast, tell)
            await story.play()
    return Played(comparisons=tuple(story.comparisons))


@contextlib.contextmanager
def prepared_folder(folder: Path) -> Iterator[None]:
    """Make the folder, or see that it is empty; what was made in vain goes again."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty, and a story is told once. Choose another folder; to look "
                f"into this one: holdfast operations --catalogue {folder / CATALOGUE}"
            )
        yield
        return
    if folder.exists():
        raise UsageError(f"{folder} is no folder")
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent} in which to make {folder.name}")
    mutations.mkdir(folder)
    mutations.fsync_directory(folder.parent)
    try:
        yield
    except Exception:
        if not any(folder.iterdir()):
            mutations.rmdir(folder)
        raise


@contextlib.asynccontextmanager
async def staged_image(folder: Path, image: Path | None, stage: Stage) -> AsyncIterator[Cast]:
    """The raw disk of the story, and where its stores go; what was staged is removed again."""
    staging = folder / _STAGING
    mutations.mkdir(staging)
    try:
        raw = await build_image(staging) if image is None else await raw_image(image, staging)
        yield await _cast(_absolute(folder), _absolute(raw), stage)
    finally:
        mutations.remove_tree(staging)


async def raw_image(image: Path, staging: Path) -> Path:
    """The user's image as a raw disk: itself, or converted into ``staging``.

    Raises:
        UsageError: the file is missing, unreadable, no image, or cut off.
        EnvironmentUnavailable: it is qcow2 and qemu-img is not installed.
    """
    image_file = await runtime().run_blocking(inspect_image, image)
    if image_file.format is ImageFormat.RAW:
        return image
    raw = staging / "image.raw"
    await make_raw(image_file, raw)
    return raw


def _absolute(path: Path) -> Path:
    return path.absolute()


async def _cast(folder: Path, raw: Path, stage: Stage) -> Cast:
    size = await runtime().run_blocking(os.path.getsize, raw)
    handle = FileHandle(path=str(raw), size_bytes=size, read_only=True)
    async with open_block_io(handle) as content:
        digest = await content_digest(content)
    return Cast(
        image=raw,
        image_bytes=size,
        image_digest=digest,
        primary=stage.store(folder, "primary-1", Role.PRIMARY),
        images=stage.store(folder, "images", Role.IMAGE),
        second=stage.store(folder, "primary-2", Role.PRIMARY),
        host=stage.host,
    )
