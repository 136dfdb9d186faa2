"""Drivers that are unusual and right reach L1; between them they declare all that can be declared.

They stand in ``odd/unusual_primary.py``, ``odd/unusual_readings.py`` and ``odd/unusual_image.py``.
"""

import enum
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities, nonsense_in
from holdfast.contract.errors import ExitCode
from holdfast_conformance.report.document import REPORT_NAME, decode_report

ODD = Path(__file__).resolve().parent / "odd"
MODULES = ("unusual_primary", "unusual_readings", "unusual_image")
UNUSUAL_MIN = 25
FULL = os.environ.get("HOLDFAST_SEEDS") == "full"
EVERY = 1 if FULL else 4
"""The usual run certifies one in four of them, most under the smallest profile."""
RARE = frozenset(f"unusual_primary:{name}" for name in ("OneVolume", "TwoVolumes", "OneSize"))
"""Stores that can do so little that stories told once are too few occasions."""
FAR_APART = 4
"""A number is declared at both ends where its largest is so many times its smallest."""


@pytest.fixture(scope="module")
def declared() -> Iterator[dict[str, Any]]:
    """What each unusual driver declares, by ``module:provider``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ODD), *sys.path])
        modules = {name: importlib.import_module(name) for name in MODULES}
        yield {
            f"{name}:{provider}": getattr(module, provider).declared
            for name, module in modules.items()
            for provider in module.UNUSUAL
        }


def names() -> list[str]:
    """All unusual drivers, as a command line names them; told by their files alone."""
    return [
        f"{module}:{line.removeprefix('class ').partition('(')[0]}"
        for module in MODULES
        for line in (ODD / f"{module}.py").read_text().splitlines()
        if line.startswith("class ") and "(Declared" in line and not line.startswith("class _")
    ]


def fields(kind: Any, value: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every field below a value with its name, its type and what is declared."""
    for name, hint in get_type_hints(kind).items():
        where = f"{path}.{name}".removeprefix(".")
        found = None if value is None else getattr(value, name)
        parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        struct = next((part for part in parts if isinstance(part, type(msgspec.Struct))), None)
        if struct is None:
            if value is not None:
                yield where, hint, found
            continue
        yield where, hint, found is not None
        yield from fields(struct, found, where)


def ends_of(hint: Any, values: set[Any]) -> str:
    """Which end of what can be declared is missing among the values, or an empty string."""
    parts = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
    numbers = [value for value in values if isinstance(value, int | float)]
    if type(None) in parts and any(isinstance(part, type(msgspec.Struct)) for part in parts):
        return "" if values == {True, False} else "with it and without it"
    if bool in parts:
        return "" if values == {True, False} else "true and false"
    if parts & {int, float} and max(numbers) < FAR_APART * max(1, min(numbers)):
        return f"a number far from {sorted(numbers)}"
    if type(None) in parts and None not in values:
        return "no limit"
    for part in parts:
        if isinstance(part, type) and issubclass(part, enum.Enum) and values != set(part):
            return f"all of {', '.join(str(member) for member in part)}"
    return ""


@pytest.mark.parametrize("kind", [PrimaryCapabilities, ImageCapabilities])
def test_each_capability_and_limit_is_declared_at_both_ends(
    kind: type[msgspec.Struct], declared: dict[str, Any]
) -> None:
    """With and without, true and false, each of a few, small and large, limited and not."""
    values: dict[str, tuple[Any, set[Any]]] = {}
    for one in declared.values():
        if isinstance(one, kind):
            for where, hint, value in fields(kind, one):
                values.setdefault(where, (hint, set()))[1].add(value)

    missing = {where: ends_of(hint, seen) for where, (hint, seen) in values.items()}
    assert {where: told for where, told in missing.items() if told} == {}


def test_there_are_many_and_none_declares_nonsense(declared: dict[str, Any]) -> None:
    """Each could be a store."""
    assert len(declared) == len(names()) >= UNUSUAL_MIN
    assert {name: told for name, one in declared.items() if (told := nonsense_in(one))} == {}


@pytest.mark.slow
@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("driver", [*dict.fromkeys([*sorted(RARE), *names()[::EVERY]])])
def test_an_unusual_driver_is_certified(driver: str, tmp_path: Path) -> None:
    """What is declared is tried, what cannot be tried does not apply, and nothing is held against
    a driver that is as it says.
    """
    profile = "smoke" if FULL or driver in RARE else "quick"
    command = [sys.executable, "-m", "holdfast", "certify", driver, "--profile", profile]
    out = tmp_path / "out"
    done = subprocess.run(
        [*command, "--seed", "0", "--jobs", "1", "--out", str(out)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert decode_report((out / REPORT_NAME).read_bytes()).verdict.ok
