"""What a testbed says about the servers it needs: images, containers, mounts and files."""

from abc import ABC, abstractmethod
from pathlib import Path

import msgspec


class ImageRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A folder with a ``Dockerfile`` that begins with ``FROM holdfast/base:bookworm``.

    ``name`` is the image's name without a tag, such as ``holdfast/tgt``. The tag follows from the
    folder's content and the base image, so that an unchanged image is built once.
    """

    name: str
    folder: Path


class Mount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A folder or socket of this machine that a container sees; ``source`` is absolute."""

    source: Path
    target: str
    writable: bool = False


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file system in memory, of a size of its own, that the engine keeps while a container runs.

    Containers that name the same volume share it.
    """

    name: str
    size_bytes: int
    target: str


class ServerFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file written into a container before its first start."""

    path: str
    data: bytes
    mode: int = 0o644


class ServerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One server in a container on the project's network.

    ``tmpfs`` maps folders to mount options (``size=64m``); what is in them is gone after a kill.
    """

    backend: str
    image: ImageRecipe | str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tmpfs: dict[str, str] = {}
    devices: tuple[str, ...] = ()
    files: tuple[ServerFile, ...] = ()
    memory_max_bytes: int = 0


class BackendServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``holdfast backends build`` must make before a provider's container testbed can start.

    ``name`` is a word for people, such as ``tgt``.
    """

    name: str
    images: tuple[ImageRecipe, ...]


class NeedsServers(ABC):
    """A provider, too, whose container testbed needs images that must be built first."""

    @abstractmethod
    def servers(self) -> tuple[BackendServer, ...]:
        """What ``holdfast backends build`` makes for it."""
