"""A narrow, typed way to the container engine: docker-py, which has no types, behind one door."""

import importlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.contract.errors import EnvironmentUnavailable

REQUEST_S = 60
_KNOCK_S = 5
_DEFAULT_ENGINE = "unix:///var/run/docker.sock"
LABEL_RUN = "holdfast.run"
LABEL_BACKEND = "holdfast.backend"
LABEL_OWNER = "holdfast.owner"
LABEL_ADDRESS = "holdfast.address"
_INSTALL = "install Holdfast with its extra: pip install 'holdfast[backends]'"


def docker_module() -> Any:
    """docker-py, loaded on first use; ``EnvironmentUnavailable`` where it is not installed."""
    try:
        return importlib.import_module("docker")
    except ImportError as error:
        raise EnvironmentUnavailable(f"containers need docker-py ({error}); {_INSTALL}") from error


def testcontainers_module(name: str) -> Any:
    """A module of testcontainers, whose reaper is switched off: the sweeper does its work."""
    try:
        settings = importlib.import_module("testcontainers.core.config").testcontainers_config
        settings.ryuk_disabled = True
        return importlib.import_module(name)
    except ImportError as error:
        raise EnvironmentUnavailable(
            f"containers need testcontainers ({error}); {_INSTALL}"
        ) from error


@contextmanager
def engine_client() -> Iterator[Any]:
    """Blocking: a ``docker.DockerClient``, closed at the end.

    Raises:
        EnvironmentUnavailable: no engine answers, or it refused what was asked; says why.
    """
    docker = docker_module()
    _knock()
    try:
        client = docker.from_env(timeout=REQUEST_S)
    except docker.errors.DockerException as error:
        raise EnvironmentUnavailable(
            f"no container engine answers ({error}); start one, or run: holdfast backends build"
        ) from error
    try:
        yield client
    except docker.errors.DockerException as error:
        raise EnvironmentUnavailable(f"the container engine refused: {explained(error)}") from error
    finally:
        client.close()


def engine_address() -> str:
    """Where the engine is looked for: ``DOCKER_HOST``, or the socket where Debian has it."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT_ENGINE


def _knock() -> None:
    """See that somebody listens: docker-py leaves its sockets open when nobody does."""
    scheme, _, rest = engine_address().partition("://")
    host, _, port = rest.rpartition(":")
    try:
        if scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(_KNOCK_S)
                probe.connect(rest)
        elif scheme in {"tcp", "http", "https"} and port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
    except OSError as error:
        raise EnvironmentUnavailable(
            f"no container engine answers at {engine_address()} ({error}); "
            "start one, or run: holdfast backends build"
        ) from error


def explained(error: Exception) -> str:
    """What the engine said, in one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())


def is_absent(error: Exception) -> bool:
    """Whether the engine said that a container, image or network is not there."""
    return isinstance(error, docker_module().errors.NotFound)


def found_container(client: Any, name: str) -> Any | None:
    """The container of this name, or nothing."""
    try:
        return client.containers.get(name)
    except docker_module().errors.NotFound:
        return None


def engine_answers() -> bool:
    """Blocking: whether an engine answers now."""
    try:
        with engine_client() as client:
            return bool(client.ping())
    except EnvironmentUnavailable:
        return False
