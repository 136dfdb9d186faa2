"""What a worker reports is a record as the suite writes it, or the worker is broken."""

import pytest

from guarded import BARE
from holdfast.contract.answers import Gone
from holdfast_conformance.plan import Plan
from holdfast_conformance.supervision.plan_course import Course
from holdfast_conformance.supervision.worker_process import WorkerLost
from holdfast_conformance.trace import (
    FIRST_CLIENT,
    BrokenKind,
    Returned,
    Started,
    Stepped,
    TraceRecord,
)
from holdfast_conformance.trace_lines import RECORD_MAX_BYTES, encode_record
from small_plans import FIGURES

STARTED = Started(provider="memory", testbed="embedded", capabilities=BARE, plan=FIGURES)
STEPPED = Stepped(
    index=0,
    client=FIRST_CLIENT,
    outcome=Returned(Gone(key="v")),
    invoked_s=0.0,
    returned_s=0.0,
    virtual_s=0.0,
    real_s=0.0,
    deadline_s=0.0,
)
LINE = encode_record(STEPPED)


def shown(plan: Plan, line: bytes) -> list[TraceRecord]:
    """What a sink is given of a line."""
    records: list[TraceRecord] = []

    def sink(record: TraceRecord, _: bytes) -> bool:
        records.append(record)
        return True

    Course(plan, sink).show(line)
    return records


def test_a_record_is_shown_as_it_came() -> None:
    """Decoded from the very line that is written to the trace."""
    assert shown(FIGURES, LINE) == [STEPPED]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINE.replace(b"0.0", b"0", 1), id="another number"),
        pytest.param(LINE.replace(b",", b", ", 1), id="a blank"),
        pytest.param(LINE + b"\n" + LINE, id="two"),
        pytest.param(encode_record(STARTED), id="a beginning"),
        pytest.param(b" " * (RECORD_MAX_BYTES + 1), id="too long"),
        pytest.param(b"{}", id="none"),
    ],
)
def test_what_verify_would_reject_is_no_record(line: bytes) -> None:
    """Nobody gets a certificate for it that a stranger cannot verify."""
    with pytest.raises(WorkerLost) as lost:
        shown(FIGURES, line)

    assert lost.value.how is BrokenKind.DIED
    assert "is no record" in lost.value.detail
