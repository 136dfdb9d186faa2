"""What was not run, one line for each backend, with the reason."""

import re
from collections.abc import Iterable

_DRIVER = re.compile(r"tests/drivers/([^/]+)/")
_BACKEND = re.compile(r"\[([a-z0-9-]+?)-(?:container|embedded)\b")
_NO_BACKEND = "other tests"


def not_run(skips: Iterable[tuple[str, str]]) -> list[str]:
    """The lines for some skipped tests.

    Args:
        skips: the id and the reason of each test.
    """
    found: dict[str, list[str]] = {}
    for test, reason in skips:
        backend = _backend_of(test)
        found.setdefault(backend, []).append(reason.rpartition("Skipped: ")[2])
    return [
        f"not run: {backend}, {len(reasons)} tests: {_commonest(reasons)}"
        for backend, reasons in sorted(found.items())
    ]


def _backend_of(test: str) -> str:
    named = _BACKEND.search(test) or _DRIVER.search(test)
    return named[1] if named else _NO_BACKEND


def _commonest(reasons: list[str]) -> str:
    return max(reasons, key=reasons.count)
