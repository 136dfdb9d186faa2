"""Where MinIO comes from: an image, or a binary wrapped into a local image, or nowhere."""

import enum
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import ConfigurationError, EnvironmentUnavailable
from holdfast_drivers.servers.base_image import registry_refusal
from holdfast_drivers.servers.build_command import build_with_secrets
from holdfast_drivers.servers.container_client import docker_module, engine_client, explained
from holdfast_drivers.servers.container_images import BASE_IMAGE, image_id
from holdfast_drivers.servers.logged_command import (
    CommandRun,
    Progress,
    combined_answer_of,
    run_interruptibly,
)
from holdfast_drivers.servers.owner_process import machine_lock

IMAGE_SETTING = "HOLDFAST_MINIO_IMAGE"
BINARY_SETTING = "HOLDFAST_MINIO_BINARY"
DEFAULT_IMAGE = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
_VERSION = "minio version "
_WRAPPED = "holdfast/minio"
_LABEL_SHA256 = "holdfast.minio.sha256"
_LABEL_BASE = "holdfast.minio.base"
_ADVICE = f"put a minio binary on PATH, or name one with {BINARY_SETTING}"
_DOCKERFILE = f"""\
FROM {BASE_IMAGE}
COPY --chmod=755 minio /usr/bin/minio
CMD ["/usr/bin/minio"]
"""


class MinioSource(enum.StrEnum):
    """How MinIO was found."""

    IMAGE = "image"
    BINARY = "binary"
    NOWHERE = "nowhere"


class FoundMinio(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """MinIO as this machine has it; ``minio`` is on the PATH of every such image.

    ``detail`` is one line for people and reports; ``sha256`` is that of a wrapped binary.
    """

    source: MinioSource
    image: str | None
    detail: str
    sha256: str = ""


async def minio_image() -> str | None:
    """The image to start MinIO from, with what is here already; nothing where there is none.

    Start it with ``entrypoint=("minio",)`` and ``command=("server", …)``.
    """
    return (await find_minio()).image


async def find_minio() -> FoundMinio:
    """MinIO among the images that are here already: no registry is asked, nothing is built."""
    return await runtime().run_blocking(find_minio_now)


async def fetch_minio(progress: Progress) -> FoundMinio:
    """MinIO from a registry, or wrapped from a binary, in this order; made ready to be started.

    Raises:
        EnvironmentUnavailable: no engine, or a build failed.
        ConfigurationError: a setting names a binary that is none, or none of MinIO.
    """
    return await run_interruptibly(progress, _fetch)


def _wanted_image() -> str:
    return os.environ.get(IMAGE_SETTING) or DEFAULT_IMAGE


def find_minio_now() -> FoundMinio:
    """Blocking: what ``find_minio`` finds."""
    with engine_client() as client:
        image_name = _wanted_image()
        if image_id(client, image_name) is not None:
            return _from_image(image_name)
        binary = _binary()
        digest = _sha256(binary) if binary else ""
        base = image_id(client, BASE_IMAGE) or ""
        for image in client.api.images(filters={"label": _LABEL_SHA256}):
            labels, tags = image["Labels"], image["RepoTags"] or ()
            known = str(labels[_LABEL_SHA256])
            fresh = labels.get(_LABEL_BASE) == base
            if tags and fresh and digest in {"", known}:
                return _from_binary(str(tags[0]), known)
    missing = f"no image {image_name} and no image of a binary is here; {_ADVICE}"
    return FoundMinio(source=MinioSource.NOWHERE, image=None, detail=missing)


def _fetch(commands: CommandRun) -> FoundMinio:
    minio = find_minio_now()
    if minio.image is not None:
        return minio
    image = _wanted_image()
    with engine_client() as client, machine_lock("build-minio"):
        refusal = registry_refusal(image)
        if refusal is None:
            commands.progress(f"pulling {image}")
            refusal = _pull(client, image)
        if refusal is None:
            return _from_image(image)
        binary = _binary()
        missing = "no binary was found" if binary is None else _mistake(binary)
        if binary is None or missing:
            detail = f"no registry gave {image} ({refusal}), and {missing}; {_ADVICE}"
            return FoundMinio(source=MinioSource.NOWHERE, image=None, detail=detail)
        return _wrap(client, commands, binary)


def _pull(client: Any, image: str) -> str | None:
    try:
        client.images.pull(image)
    except docker_module().errors.APIError as error:
        return explained(error)
    return None


def _wrap(client: Any, commands: CommandRun, binary: Path) -> FoundMinio:
    digest = _sha256(binary)
    base = image_id(client, BASE_IMAGE)
    if base is None:
        raise EnvironmentUnavailable(
            f"the base image {BASE_IMAGE} is missing; run: holdfast backends build"
        )
    tag = f"{_WRAPPED}:{hashlib.sha256(f'{digest}{base}'.encode()).hexdigest()[:16]}"
    commands.progress(f"wrapping {binary}")
    with tempfile.TemporaryDirectory(prefix="holdfast-minio-") as folder:
        shutil.copyfile(binary, Path(folder, "minio"))
        Path(folder, "Dockerfile").write_text(_DOCKERFILE)
        labels = (f"{_LABEL_SHA256}={digest}", f"{_LABEL_BASE}={base}")
        build_with_secrets(commands, name=_WRAPPED, tag=tag, folder=Path(folder), labels=labels)
    return _from_binary(tag, digest)


def _mistake(binary: Path) -> str:
    """Why a program is not taken for MinIO; empty where it is one.

    Raises:
        ConfigurationError: it is none, and a setting names it.
    """
    answer = combined_answer_of((str(binary), "--version")).partition("\n")[0]
    if answer.startswith(_VERSION):
        return ""
    mistake = f"{binary} is no MinIO: asked for its version, it says {answer[:80]!r}"
    if os.environ.get(BINARY_SETTING):
        raise ConfigurationError(f"{mistake}; {_ADVICE}")
    return mistake


def _from_image(image: str) -> FoundMinio:
    return FoundMinio(source=MinioSource.IMAGE, image=image, detail=f"the image {image}")


def _from_binary(tag: str, digest: str) -> FoundMinio:
    return FoundMinio(
        source=MinioSource.BINARY,
        image=tag,
        detail=f"a minio binary with SHA-256 {digest}, wrapped into the image {tag}",
        sha256=digest,
    )


def _binary() -> Path | None:
    named = os.environ.get(BINARY_SETTING)
    if named and not os.access(named, os.X_OK):
        raise ConfigurationError(f"{BINARY_SETTING} names {named}, which is no program")
    path = named or shutil.which("minio")
    return Path(path) if path else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
