"""Tests of others that fail against our servers: one file for each server, in ``expected``."""

import tomllib
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
    return tuple(one for product in Product for one in _of(product))


def _of(product: Product) -> tuple[Excused, ...]:
    path = FOLDER / f"{product.name.lower()}.toml"
    if not path.exists():
        return ()
    read = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    return tuple(
        Excused(
            suite=Suite[entry.suite], products=(product,), tests=entry.tests, reason=entry.reason
        )
        for entry in read.excused
    )
