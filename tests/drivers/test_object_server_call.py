"""What a call to an object server may say of what it has done."""

import asyncio

import pytest

from holdfast.concurrency.runtime import runtime
from holdfast.contract.errors import DriverError, Internal, Unknown
from holdfast.contract.requests import CallContext
from holdfast_drivers.object_server_call import Call

_FINAL = sorted((kind for kind in DriverError.__subclasses__() if kind.final), key=str)


def _call() -> Call:
    async def begun() -> Call:
        return Call(CallContext(operation="op", deadline=runtime().now() + 10.0), "object")

    return asyncio.run(begun())


@pytest.mark.parametrize("final", _FINAL)
@pytest.mark.parametrize("uncertain", [Unknown, Internal])
def test_nothing_is_final_after_a_request_whose_end_is_unknown(
    uncertain: type[DriverError], final: type[DriverError]
) -> None:
    """A driver may ask what became of it, and that question can fail by itself."""
    call = _call()

    assert not call.failed(uncertain("no answer")).final
    assert not call.failed(final("cannot be asked")).final


@pytest.mark.parametrize("final", _FINAL)
def test_what_was_refused_leaves_a_later_refusal_final(final: type[DriverError]) -> None:
    """Nothing was done by either."""
    call = _call()

    assert call.failed(final("refused")).final
    assert call.failed(final("refused again")).final
