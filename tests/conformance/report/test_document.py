"""The report's own form."""

import json

import jsonschema
import msgspec
import pytest

from holdfast_conformance.report.document import (
    Report,
    decode_report,
    digest_of,
    encode_report,
)
from holdfast_conformance.report.schema import report_schema


def test_a_report_survives_writing_and_reading(report: Report) -> None:
    """What is read is what was written."""
    assert decode_report(encode_report(report)) == report


def test_the_published_schema_accepts_a_report(report: Report) -> None:
    """A report is valid under the JSON Schema."""
    data = encode_report(report)

    jsonschema.Draft202012Validator.check_schema(report_schema())
    jsonschema.validate(json.loads(data), report_schema())
    assert decode_report(data) == report


def test_the_published_schema_refuses_an_unknown_field(report: Report) -> None:
    """A field nobody knows is an error, for the schema as for the suite."""
    changed = json.loads(encode_report(report)) | {"remark": "trust me"}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, report_schema())
    with pytest.raises(msgspec.ValidationError):
        decode_report(json.dumps(changed).encode())


def test_the_digest_covers_everything_but_itself(report: Report) -> None:
    """Another digest does not change the digest; anything else does."""
    other = msgspec.structs.replace(report, digest="00")
    moved = msgspec.structs.replace(report, badges=("thin",))

    assert digest_of(other) == digest_of(report)
    assert digest_of(moved) != digest_of(report)
