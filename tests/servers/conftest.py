"""What the tests of containers need; those that need none run everywhere."""

import uuid

import pytest

from engines import require_engine, require_simulated_hosts


@pytest.fixture
def run() -> str:
    """A run id that nobody else has; an engine answers, or the test is skipped."""
    require_engine()
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def host_run(run: str) -> str:
    """A run id where simulated hosts can be made."""
    require_simulated_hosts()
    return run
