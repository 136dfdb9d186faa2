"""The published JSON Schema of ``report.json``, made from the structs that write it."""

from typing import Any

import msgspec

from holdfast_conformance.report.document import SCHEMA, Report

SCHEMA_NAME = "report.schema.json"


def report_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA.replace('/', ':')}",
        "title": "Holdfast conformance report",
        **msgspec.json.schema(Report),
    }


def encode_schema() -> bytes:
    """The bytes of the published schema file."""
    encoded = msgspec.json.encode(report_schema(), order="sorted")
    return msgspec.json.format(encoded, indent=2) + b"\n"
