"""``docker build`` by BuildKit, with the host's configuration as secrets."""

import os
import shutil
import tempfile
from pathlib import Path

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.host_configuration import build_secrets
from holdfast_drivers.servers.logged_command import CommandRun, answer_of

LABEL_IMAGE = "holdfast.image"
_LAST_BUILTIN_MAJOR = 22


def build_with_secrets(
    commands: CommandRun, *, name: str, tag: str, folder: Path, labels: tuple[str, ...] = ()
) -> None:
    """Blocking: build ``folder`` under the name ``tag``.

    Raises:
        EnvironmentUnavailable: no client that can build, or the build failed.
    """
    program = building_client()
    with tempfile.TemporaryDirectory(prefix="holdfast-build-") as private:
        command = [program, "build", "--progress=plain", "--tag", tag]
        for label in (f"{LABEL_IMAGE}={name}", *labels):
            command += ["--label", label]
        for secret, path in build_secrets(Path(private)).items():
            command += ["--secret", f"id={secret},src={path}"]
        commands.run(
            [*command, str(folder)],
            log=f"build-{name.replace('/', '-')}",
            failing=f"building the image {name}",
            environment={"DOCKER_BUILDKIT": "1"},
        )


def building_client() -> str:
    """Blocking: a docker command that can build with secrets against the engine here.

    A client up to 22 brings BuildKit along; a later one needs its buildx plug-in.
    """
    paths = [shutil.which("docker"), "/usr/bin/docker"]
    candidates = [path for path in dict.fromkeys(paths) if path and os.access(path, os.X_OK)]
    plugged: list[str] = []
    for path in candidates:
        version = answer_of([path, "version", "--format", "{{.Client.Version}}"])
        major = version.partition(".")[0]
        if major.isdecimal() and int(major) <= _LAST_BUILTIN_MAJOR:
            return path
        if "buildx" in answer_of([path, "buildx", "version"]):
            plugged.append(path)
    if plugged:
        return plugged[0]
    raise EnvironmentUnavailable(
        "no docker command that builds with secrets is installed; "
        "install one: apt-get install docker.io (or docker-buildx)"
    )
