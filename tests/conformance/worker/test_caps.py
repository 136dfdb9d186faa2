"""Caps on what comes out of a driver."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contract.answers import OwnedKind, OwnedThing
from holdfast.contract.errors import ErrorKind
from holdfast.contract.testbed import Inspected
from holdfast_conformance.trace import (
    Ended,
    Enumerated,
    Nonsense,
    Observed,
    Raised,
    Returned,
    Stepped,
)
from holdfast_conformance.trace_lines import RECORD_MAX_BYTES, decode_record, encode_record
from holdfast_conformance.worker.output_limits import ANSWER_MAX, bounded_line, cut_texts


def unchanged(data: bytes) -> bytes:
    return data


def stepped(outcome: Returned | Raised | Nonsense) -> Stepped:
    return Stepped(
        index=0,
        client=0,
        outcome=outcome,
        invoked_s=1.5,
        returned_s=1.6,
        virtual_s=0.1,
        real_s=0.25,
        deadline_s=1e9,
    )


MANY = 60_000


def test_ordinary_records_are_written_as_they_are() -> None:
    """Byte for byte: what is judged is what was said."""
    record = stepped(
        Raised(kind=ErrorKind.BUSY, verb="get", object='a"\\é\u202e', cause="x" * 900, final=True)
    )

    assert bounded_line(record, unchanged) == encode_record(record)


@given(st.text(max_size=40), st.integers(ANSWER_MAX + 1, 3 * ANSWER_MAX))
def test_a_long_text_is_cut_and_marked(text: str, length: int) -> None:
    """Whatever it consists of; the record stays one, in the form in which it is read back."""
    whole = (text.encode("utf-8", "replace").decode() + '"\\')[:40]
    whole = (whole * length)[:length]
    cause = Raised(kind=ErrorKind.BUSY, verb="v", object="o", cause=whole, final=True)
    line = bounded_line(stepped(cause), unchanged)
    record = decode_record(line)

    assert encode_record(record) == line
    assert isinstance(record, Stepped)
    assert isinstance(record.outcome, Raised)
    assert record.outcome.cause == f"{whole[:ANSWER_MAX]}... (cut, {length} characters)"


def test_keys_are_cut_as_well() -> None:
    """A map's key is a driver's text, too."""
    cut = msgspec.json.decode(cut_texts(msgspec.json.encode({"k" * 50: ["v" * 50, 1.5]}), 10))

    mark = "... (cut, 50 characters)"
    assert cut == {f"{'k' * 10}{mark}": [f"{'v' * 10}{mark}", 1.5]}


def test_secrets_are_removed_before_anything_is_cut() -> None:
    """A secret that was cut in the middle would not be known any more."""
    secret = b"canary-0123456789abcdef"
    outcome = Nonsense("x" * (ANSWER_MAX - 5) + secret.decode())
    line = bounded_line(stepped(outcome), lambda data: data.replace(secret, b"[redacted]"))

    assert b"canary" not in line


def test_an_answer_without_an_end_is_nonsense() -> None:
    """An answer that would make a record longer than any is not kept."""
    things = tuple(OwnedThing(kind=OwnedKind.VOLUME, key=f"v{n}", id="i" * 60) for n in range(MANY))
    line = bounded_line(stepped(Returned(Enumerated(things))), unchanged)
    record = decode_record(line)

    assert isinstance(record, Stepped)
    assert isinstance(record.outcome, Nonsense)
    assert "are looked at" in record.outcome.what


@pytest.mark.parametrize("ended", [False, True])
def test_an_endless_inventory_is_told_by_its_beginning(ended: bool) -> None:
    """It is as wrong as all of it, and fits."""
    things = tuple(Inspected(kind=OwnedKind.VOLUME, key=f"v{n}", id="i" * 60) for n in range(MANY))
    whole: Ended | Observed = (
        Ended(left=things, enumerated=(), failures=(), outside_digest="")
        if ended
        else Observed(index=0, things=things, outside_digest="")
    )
    line = bounded_line(whole, unchanged)
    record = decode_record(line)

    assert len(line) <= RECORD_MAX_BYTES
    assert isinstance(record, Ended | Observed)
    kept = record.left if isinstance(record, Ended) else record.things
    assert kept is not None
    assert things[: len(kept)] == kept
    assert len(kept) > MANY // 8
