"""Tests against real servers: run where a container engine answers, else skipped in one line."""

import os

import pytest

from holdfast_drivers.servers.container_client import engine_answers, engine_client
from holdfast_drivers.servers.container_images import BASE_IMAGE, image_id
from holdfast_drivers.servers.network import host_obstacle

BUILD = "run: holdfast backends build"


def require_engine() -> None:
    """Skip the test where no container engine answers or has no base image; CI fails there."""
    if not engine_answers():
        _missing(f"no container engine answers; {BUILD}")
    with engine_client() as client:
        there = image_id(client, BASE_IMAGE) is not None
    if not there:
        _missing(f"the image {BASE_IMAGE} is missing; {BUILD}")


def require_simulated_hosts() -> None:
    """Skip the test where no network namespace can be made; CI fails there."""
    require_engine()
    if obstacle := host_obstacle():
        _missing(obstacle)


def _missing(message: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
