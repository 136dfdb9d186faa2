"""The Debian base of all images: pulled where a registry answers, else made from apt's sources.

Neither way leaves an address of this machine's package sources in the image.
"""

import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.build_command import LABEL_IMAGE, build_with_secrets
from holdfast_drivers.servers.container_client import docker_module, engine_client
from holdfast_drivers.servers.container_images import BASE_IMAGE, ImageId, image_id
from holdfast_drivers.servers.host_configuration import BASE_CODENAME, all_host_sources
from holdfast_drivers.servers.logged_command import CommandRun, answer_of
from holdfast_drivers.servers.owner_process import machine_lock
from holdfast_drivers.servers.packages import install_packages

UPSTREAM = f"debian:{BASE_CODENAME}-slim"
_PACKAGES = ("ca-certificates", "netbase", "python3-minimal")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_APT_SETTINGS = (
    'Acquire::Languages "none"',
    'APT::Install-Recommends "false"',
)
_IMAGE_SETTINGS = (
    'APT::Keep-Downloaded-Packages "false"',
    # apt's caches hold the addresses of its sources.
    'Dir::Cache::pkgcache ""',
    'Dir::Cache::srcpkgcache ""',
)
_KEPT_APT_SETTINGS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")
_REGISTRY_S = 8
_ROOM_BYTES = 3 << 30
_DOCKERFILE = f"""\
FROM {UPSTREAM}
COPY apt.conf /etc/apt/apt.conf.d/90holdfast
RUN --mount=type=secret,id=sources,target=/etc/apt/sources.list.d/debian.sources \\
    --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \\
    apt-get update && apt-get install -y --no-install-recommends {" ".join(_PACKAGES)} \\
    && rm -rf /var/lib/apt/lists/*
"""


def ensure_base(commands: CommandRun, name: str = BASE_IMAGE, *, fresh: bool = False) -> ImageId:
    """Blocking: the base image, found or made under ``name``; ``fresh`` makes it in any case.

    Raises:
        EnvironmentUnavailable: no engine, or neither a registry nor apt's sources gave one.
    """
    with engine_client() as client, machine_lock("build-base"):
        image = image_id(client, name)
        if image and not fresh:
            return image
        pulled = _refusal_of(client, UPSTREAM)
        if pulled is None:
            _build_on_upstream(commands, name)
        else:
            commands.progress(f"no registry answers for {UPSTREAM}; making it with mmdebstrap")
            _bootstrap(client, commands, name)
        base = image_id(client, name)
    if base is None:
        raise EnvironmentUnavailable(f"the base image {name} was made and is not there")
    return base


def _refusal_of(client: Any, image: str) -> str | None:
    """Why an image cannot be had from a registry, asked in a bounded time; nothing if it can."""
    if image_id(client, image) is not None:
        return None
    return registry_refusal(image)


def registry_refusal(image: str) -> str | None:
    """Blocking, some seconds at most: why no registry has ``image``; nothing when one has it."""
    docker = docker_module()
    with engine_client() as client:
        client.api.timeout = _REGISTRY_S
        try:
            client.api.inspect_distribution(image)
        except docker.errors.APIError as error:
            return str(error.explanation or error)
        except OSError as error:  # requests' own errors are OSErrors
            return f"no answer in {_REGISTRY_S} s ({type(error).__name__})"
    return None


def _build_on_upstream(commands: CommandRun, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="holdfast-base-") as folder:
        Path(folder, "Dockerfile").write_text(_DOCKERFILE)
        _write_image_settings(Path(folder, "apt.conf"))
        build_with_secrets(commands, name="holdfast/base", tag=name, folder=Path(folder))


def _apt_settings() -> list[str]:
    """Settings without which apt here would not accept its sources, such as those of a snapshot."""
    lines = [line.rstrip(";") for line in answer_of(["apt-config", "dump"]).splitlines()]
    settings = [line for line in lines if line.startswith(_KEPT_APT_SETTINGS)]
    return [*settings, *_APT_SETTINGS]


def _write_image_settings(path: Path) -> None:
    """What apt is told inside the image, so that it keeps neither packages nor addresses."""
    path.write_text("".join(f"{one};\n" for one in (*_apt_settings(), *_IMAGE_SETTINGS)))


def _bootstrap(client: Any, commands: CommandRun, name: str) -> None:
    _need_mmdebstrap(commands)
    # In memory it takes half the time.
    roomy = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    in_memory = roomy.is_dir() and shutil.disk_usage(roomy).free > _ROOM_BYTES
    with tempfile.TemporaryDirectory(
        prefix="holdfast-base-", dir=roomy if in_memory else None
    ) as folder:
        sources = all_host_sources(Path(folder))
        if sources is None:
            raise EnvironmentUnavailable(
                "this machine has no apt sources of its distribution to make a base image from"
            )
        archive = Path(folder, "base.tar")
        commands.run(
            _bootstrap_command(archive, sources),
            log="build-base",
            failing="making the base image with mmdebstrap",
            environment={"TMPDIR": folder},
        )
        commands.progress("importing the base image")
        _import(client, archive, name)


def _need_mmdebstrap(commands: CommandRun) -> None:
    if os.geteuid() != 0:
        raise EnvironmentUnavailable(
            f"no registry has {UPSTREAM}, and making it with mmdebstrap needs root; "
            "run as root: holdfast backends build"
        )
    if shutil.which("mmdebstrap") is None:
        install_packages(commands, ("mmdebstrap",))


def _import(client: Any, archive: Path, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    client.api.import_image_from_file(
        str(archive),
        repository=repository,
        tag=tag,
        changes=['CMD ["/bin/bash"]', f"LABEL {LABEL_IMAGE}=holdfast/base"],
    )


def _bootstrap_command(archive: Path, sources: Path) -> list[str]:
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", BASE_CODENAME)
    command = ["mmdebstrap", "--variant=minbase", "--mode=root"]
    command += [f"--include={','.join(_PACKAGES)}"]
    command += [f"--aptopt={setting}" for setting in _apt_settings()]
    command += [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    command += ["--dpkgopt=force-unsafe-io"]
    settings = archive.with_name("apt.conf")
    _write_image_settings(settings)
    command += [f"--customize-hook=upload {settings} /etc/apt/apt.conf.d/90holdfast"]
    forgotten = ("etc/apt/sources.list", "etc/apt/sources.list.d/*", "var/cache/apt/*.bin")
    forget = "rm -rf " + " ".join(f'"$1"/{path}' for path in forgotten)
    return [*command, f"--customize-hook={forget}", suite, str(archive), str(sources)]
