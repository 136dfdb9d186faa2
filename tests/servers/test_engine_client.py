"""An engine that does not answer, wherever it is looked for."""

import gc
import warnings

import pytest

from holdfast.contract.errors import EnvironmentUnavailable
from holdfast_drivers.servers.container_client import engine_answers, engine_client


@pytest.mark.parametrize("address", ["unix:///nonexistent/engine.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_is_not_there_is_named_and_leaves_no_socket_open(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where the engine was looked for and what starts one; nothing is left open."""
    monkeypatch.setenv("DOCKER_HOST", address)

    gc.collect()  # what earlier tests left is not meant
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(EnvironmentUnavailable) as problem, engine_client():
            pytest.fail("nobody is there")
        answers = engine_answers()
        gc.collect()

    assert address in str(problem.value)
    assert "holdfast backends build" in str(problem.value)
    assert (answers, [str(one.message) for one in caught]) == (False, [])
