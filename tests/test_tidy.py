"""The rules of this tree that a machine can check."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
ROOTS = {
    "framework": "holdfast",
    "drivers": "holdfast_drivers",
    "simulator": "holdfast_simulator",
    "conformance": "holdfast_conformance",
}
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
TEST_LINES_MAX = 70
DRIVER_FILES = {
    "__init__.py",
    "README.md",
    "config.py",
    "lifecycle.py",
    "testbed.py",
    "inspector.py",
}
KITS = {"inspection", "servers", "storage_host"}
"""Folders beside the drivers that are no storage systems."""
FROM_A_KIT = {"iscsi": {"lifecycle.py"}}
CLOCKS = {"time", "random", "uuid", "threading", "secrets"}
MAY_READ_CLOCKS = {"framework/holdfast/concurrency/runtime.py"}


@cache
def tracked(pattern: str = "*") -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (TOP / line for line in listed.stdout.splitlines())
    return tuple(path for path in paths if path.is_file())


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def product_modules() -> list[Path]:
    return [path for path in tracked("*.py") if path.relative_to(TOP).parts[0] in ROOTS]


def name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def test_no_module_is_longer_than_a_few_screens() -> None:
    """A module past 400 lines hides something."""
    lengths = {name(path): len(path.read_text().splitlines()) for path in tracked("*.py")}

    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_functions_read_top_to_bottom() -> None:
    """No function of the product is longer than 50 lines, and none of a test longer than 70."""
    product = set(product_modules())
    too_long = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in tracked("*.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno
        >= (FUNCTION_LINES_MAX if path in product else TEST_LINES_MAX)
    ]

    assert too_long == []


def test_every_module_says_its_reason() -> None:
    """Each product module starts with a docstring."""
    silent = [name(path) for path in product_modules() if not ast.get_docstring(tree_of(path))]

    assert silent == []


def test_time_and_chance_come_from_the_runtime() -> None:
    """Framework and drivers take clocks, random numbers, ids and threads from the runtime alone."""
    offenders = [
        f"{name(path)}:{node.lineno} {module}"
        for path in product_modules()
        if path.relative_to(TOP).parts[0] in {"framework", "drivers"}
        and name(path) not in MAY_READ_CLOCKS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.stmt)
        for module in imported(node)
        if module.split(".")[0] in CLOCKS and not mutant(path) and not in_a_container(path)
    ]

    assert offenders == []


def mutant(path: Path) -> bool:
    """Planted defects may do what drivers must not."""
    return "mutants" in path.parts


def in_a_container(path: Path) -> bool:
    """Programs of a testbed's server run inside its container, where there is no runtime."""
    return bool({"server_image", "readers"} & {*path.parts}) or path.name == "inspection.py"


def imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def test_arrows_go_one_way() -> None:
    """The import contracts hold."""
    lint = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run([lint], cwd=TOP, check=False, capture_output=True, text=True)

    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("root", ROOTS)
def test_a_source_root_holds_one_typed_package(root: str) -> None:
    """Each root has one import package, typed, and is no package itself."""
    package = TOP / root / ROOTS[root]

    assert (package / "py.typed").exists()
    assert not (TOP / root / "__init__.py").exists()


def test_drivers_share_their_file_names() -> None:
    """Who has read one driver's folder has read all."""
    folders = [
        path.parent
        for path in tracked("drivers/holdfast_drivers/*/__init__.py")
        if path.parent.parent.name == "holdfast_drivers" and path.parent.name not in KITS
    ]

    assert folders
    assert {
        folder.name: sorted(
            DRIVER_FILES
            - {entry.name for entry in folder.iterdir()}
            - FROM_A_KIT.get(folder.name, set())
        )
        for folder in folders
    } == {folder.name: [] for folder in folders}


def test_no_vague_rooms() -> None:
    """No module is called after nothing in particular."""
    vague = {"utils", "util", "helpers", "common", "misc", "manager", "base"}

    assert [name(path) for path in product_modules() if path.stem in vague] == []


def test_suppressions_give_their_reason() -> None:
    """A silenced checker is told why, on the same line or the one above."""
    silenced = re.compile(r"#\s*(noqa|type: ignore|pyright: ignore)(?P<rest>.*)$")
    bare = [
        f"{name(path)}:{number}"
        for path in product_modules()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := silenced.search(line))
        and " - " not in found["rest"]
        and "  # " not in found["rest"]
    ]

    assert bare == []


THE_DOOR = "framework/holdfast/text/foreign.py"
THE_STARTER = "framework/holdfast/concurrency/interpreter.py"
LIVE_DISPLAYS = {
    "framework/holdfast/cli/step_display.py",
    "conformance/holdfast_conformance/supervision/progress.py",
}
"""Bars of rich: what they show of others goes through the door first."""


def test_whatever_a_person_is_shown_passes_one_door() -> None:
    """Nothing but the door prints, echoes or writes to a standard stream."""
    offenders = [
        f"{name(path)}:{node.lineno} {written}"
        for path in product_modules()
        if name(path) != THE_DOOR and not mutant(path) and not in_a_container(path)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and (written := speaking(node.func, name(path)))
    ]

    assert offenders == []


def speaking(function: ast.expr, path: str) -> str:
    """What a call writes with, or nothing."""
    text = ast.unparse(function)
    ways = {"print", "typer.echo", "typer.secho", "rich.print", "pprint"}
    streams = ("sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer", "traceback.print_")
    drawn = text in {"Console", "Table"} and path not in LIVE_DISPLAYS
    return text if text in ways or text.startswith(streams) or drawn else ""


def test_a_python_is_started_in_one_way() -> None:
    """No program looks for modules where it happens to stand: who starts a Python says so."""
    offenders = [
        f"{name(path)}:{node.lineno}"
        for path in product_modules()
        if name(path) != THE_STARTER and not mutant(path)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.List | ast.Tuple) and starts_unsafely(node)
    ]

    assert offenders == []


def starts_unsafely(node: ast.List | ast.Tuple) -> bool:
    """Whether this is a command of an interpreter without ``-P`` or ``-I``."""
    words = [ast.unparse(word).strip("'\"") for word in node.elts]
    runs = {"-m", "-c", "*AGENT"} & set(words) and any(
        word == "sys.executable" or word.startswith("python3") for word in words
    )
    return bool(runs) and not {"-P", "-I"} & set(words)


def test_the_changelog_has_its_form() -> None:
    """The change log keeps the sections of Keep a Changelog, newest first."""
    text = (TOP / "CHANGELOG.md").read_text()

    assert text.startswith("# Changelog\n")
    assert re.search(r"^## \[?(Unreleased|\d+\.\d+\.\d+)", text, re.MULTILINE)
    sections = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_each_decision_has_a_number_of_its_own() -> None:
    """Decision records are numbered from 0001, and no number is used twice."""
    numbers = sorted(int(path.name[:4]) for path in tracked("docs/decisions/*.md"))

    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))
