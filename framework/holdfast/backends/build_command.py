"""``docker build`` by BuildKit: the host's configuration as secrets, a log that is kept."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from holdfast.backends.host_configuration import build_secrets
from holdfast.backends.ownership import state_folder
from holdfast.backends.specs import ImageRecipe
from holdfast.errors import EnvironmentUnavailable

_LAST_BUILTIN_MAJOR = 22
_SHOWN_LINES = 8
_QUESTION_S = 20
_LINE_MAX = 200


def build_with_secrets(recipe: ImageRecipe, tag: str, progress: Callable[[str], None]) -> None:
    """Blocking: build ``recipe`` under the name ``tag``.

    Raises:
        EnvironmentUnavailable: no client that can build, or the build failed.
    """
    program = building_client()
    log_path = state_folder("logs") / f"build-{recipe.name.replace('/', '-')}.log"
    with tempfile.TemporaryDirectory(prefix="holdfast-build-") as folder:
        command = [program, "build", "--progress=plain", "--tag", tag]
        command += ["--label", f"holdfast.image={recipe.name}"]
        for name, path in build_secrets(Path(folder)).items():
            command += ["--secret", f"id={name},src={path}"]
        command.append(str(recipe.folder))
        status, last = _run_logged(command, log_path, progress)
    if status != 0:
        said = "\n  ".join(last)
        raise EnvironmentUnavailable(
            f"building the image {recipe.name} failed; the whole log is in {log_path}; "
            f"it ends:\n  {said}"
        )


def _run_logged(
    command: list[str], log_path: Path, progress: Callable[[str], None]
) -> tuple[int, list[str]]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    last: list[str] = []
    with (
        log_path.open("w") as log,
        subprocess.Popen(  # noqa: S603 - docker, with names made up here
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                if text := line.strip()[:_LINE_MAX]:
                    progress(text)
                    last = [*last[1 - _SHOWN_LINES :], text]
        except BaseException:
            process.kill()
            raise
    return process.returncode, last


def building_client() -> str:
    """Blocking: a docker command that can build with secrets against the engine here.

    A client up to 22 brings BuildKit along; a later one needs its buildx plug-in.
    """
    found = [shutil.which("docker"), "/usr/bin/docker"]
    candidates = [path for path in dict.fromkeys(found) if path and os.access(path, os.X_OK)]
    plugged: list[str] = []
    for path in candidates:
        version = _answer([path, "version", "--format", "{{.Client.Version}}"])
        major = version.partition(".")[0]
        if major.isdecimal() and int(major) <= _LAST_BUILTIN_MAJOR:
            return path
        if "buildx" in _answer([path, "buildx", "version"]):
            plugged.append(path)
    if plugged:
        return plugged[0]
    raise EnvironmentUnavailable(
        "no docker command that builds with secrets is installed; "
        "install one: apt-get install docker.io (or docker-buildx)"
    )


def _answer(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed question
            command, capture_output=True, text=True, timeout=_QUESTION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
