"""Tells Swift's functional s3api tests the limits of a server of S3 that has no ``/info``.

The suite asks Swift's proxy, with Swift's authentication, what its S3 side can do. A server of S3
alone has no such answer, so this plugin of pytest gives one before the tests are read. And it lets
the suite end without emptying an account with Swift's protocol. All requests of the tests go to the
server, and nothing of what they want of it is changed.
"""

import importlib
from typing import Any

_S3 = {
    "s3api": {
        "allow_multipart_uploads": True,
        "max_bucket_listing": 1000,
        "max_multi_delete": 1000,
        "max_parts_listing": 1000,
        "max_upload_part_num": 10000,
        "min_segment_size": 5 << 20,
        "s3_acl": False,
    },
    # Whether the server keeps versions; the suite asks for Swift's name of it.
    "object_versioning": {},
}
"""The limits that Amazon documents for S3."""


def pytest_configure(config: object) -> None:  # noqa: ARG001 - pytest finds it by name
    """Answer in place of Swift's ``/info``; ``swift`` stays what the suite falls back on."""
    # Only the interpreter of the suite has it, and it has no types.
    functional: Any = importlib.import_module("test.functional")

    def answer() -> None:
        limits = dict(functional.constraints.EFFECTIVE_CONSTRAINTS)
        functional.cluster_info.update(_S3, swift=limits)

    functional.get_cluster_info = answer
    functional.teardown_package = functional.reset_globals
