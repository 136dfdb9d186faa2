"""Digests of sources: equal for an editable install and a wheel, different for any changed line."""

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

_SUFFIXES = (".py", ".j2", ".json", ".toml")


def digest_of_package(package: str) -> str:
    """The SHA-256 over names and bytes of all source files of an importable package or module.

    A module that is no package counts as its package's only file where it has none.
    """
    digest = hashlib.sha256()
    for name, data in sorted(_sources(resources.files(package), "")):
        digest.update(f"{len(name.encode())}:{name}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def _sources(place: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in place.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, f"{name}/")
        elif entry.name.endswith(_SUFFIXES):
            yield name, entry.read_bytes()
