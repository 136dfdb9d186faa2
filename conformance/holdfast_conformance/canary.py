"""The form of planted secrets, by which one is recognised wherever it turns up."""

import re

PREFIX = "canary"
REDACTED = "[redacted]"
PATTERN = re.compile(rb"canary-[0-9a-f]{16}")


def without_canaries(data: bytes) -> bytes:
    """The bytes with every planted secret replaced."""
    return PATTERN.sub(REDACTED.encode(), data)
