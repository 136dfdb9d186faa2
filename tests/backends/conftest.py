"""One running testbed at a time, shared by all tests of its backend."""

import os
from collections.abc import Iterator

import pytest

from holdfast.contract.requests import Role
from holdfast.contract.testbed import TestbedKind
from running_testbeds import Backend, Running, backends, roles_of, running

PAIRS = [(backend, role) for backend in backends() for role in roles_of(backend)]
SHARED = [
    backend
    for backend, role in PAIRS
    if role is Role.PRIMARY and backend.kind.startswith(TestbedKind.CONTAINER)
]
"""Primary stores that several hosts reach over a network."""


@pytest.fixture(scope="session", params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Running, Role]]:
    """A running testbed and one of its provider's roles."""
    backend: Backend
    backend, role = request.param
    with running(backend, f"faults-{os.getpid()}") as found:
        yield found, role


@pytest.fixture(scope="session", params=SHARED, ids=str)
def primary_place(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A running server of primary stores that several hosts reach."""
    backend: Backend = request.param
    with running(backend, f"hosts-{os.getpid()}") as found:
        yield found
