"""Tests of others that fail against our servers: one file for each server, in ``expected``."""

import tomllib
from collections import Counter
from pathlib import Path

import msgspec
from tests.acceptance.outcomes import Excused, Product, Suite

FOLDER = Path(__file__).parent / "expected"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One reason, as a file gives it."""

    suite: str
    reason: str
    tests: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    excused: tuple[_Entry, ...]


def excused() -> tuple[Excused, ...]:
    """What is written down for all servers; a server without a file has nothing to excuse."""
    return tuple(
        Excused(
            suite=Suite[entry.suite],
            products=(product,),
            tests=entry.tests,
            reason=entry.reason,
        )
        for product in Product
        for entry in _entries(product)
    )


def summary() -> str:
    """The table of docs/backends.md: reasons and how many tests have them.

    Reasons of the form "matter: SERVER does so" are counted by their matter.
    """
    lines = ["| server | suite | expected failures | tests |", "|---|---|---|---|"]
    for product in Product:
        counts: Counter[tuple[str, str]] = Counter()
        shades: Counter[tuple[str, str]] = Counter()
        for entry in _entries(product):
            matter, colon, shade = entry.reason.partition(": ")
            common = bool(colon) and shade.startswith(product)
            key = (entry.suite, matter if common else entry.reason)
            counts[key] += len(entry.tests)
            shades[key] += common
        for (suite, told), count in sorted(counts.items(), key=lambda one: (one[0][0], -one[1])):
            many = shades[suite, told]
            more = f": {many} reason{'s' * (many > 1)}" if many else ""
            lines.append(f"| {product} | {Suite[suite]} | {told}{more} | {count} |")
    return "\n".join(lines)


def _entries(product: Product) -> tuple[_Entry, ...]:
    path = FOLDER / f"{product.name.lower()}.toml"
    if not path.exists():
        return ()
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).excused
