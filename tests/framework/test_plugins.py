import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from holdfast.contract.errors import ConfigurationError, Internal, Unsupported
from holdfast.contract.mutant import Mutant
from holdfast.contract.ports import LifeCycle, PrimaryDriver, Provider
from holdfast.contract.requests import Role, ScopeKind
from holdfast.stores import plugins
from holdfast.stores.open_store import (
    open_image,
    open_life_cycle,
    open_primary,
    parse_config,
)
from holdfast.stores.plugins import BrokenPlugin, load_provider, mutants, providers


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A configuration with a required key, a number and a secret."""

    namespace: str
    size_bytes: int = 1
    password: str = ""


class GoodProvider(Provider):
    """A provider that opens nothing of use."""

    name = "good"
    roles = (Role.PRIMARY,)
    scopes = (ScopeKind.HOST,)
    config_type = Config
    secret_fields: ClassVar[tuple[str, ...]] = ("password",)

    @asynccontextmanager
    async def life_cycle(self, config: msgspec.Struct, role: Role) -> AsyncIterator[LifeCycle]:
        raise OSError(f"no way to {role} in {config}")
        yield


class LateProvider(GoodProvider):
    """The same under another name."""

    name = "late"


PACKAGE = {
    "good.py": "from holdfast_drivers.memory import MemoryProvider as Memory\n"
    "class Good(Memory):\n    name = 'good'\n",
    "syntax.py": "def (:\n",
    "exits.py": "raise SystemExit('bye')\n",
    "raises.py": "raise ValueError('no licence')\n",
    "other.py": "x = 1\nclass NotOne: pass\n"
    "from good import Good\n"
    "class Named(Good):\n    name = 'another'\n"
    "class Exits(Good):\n    name = 'constructor'\n"
    "    def __init__(self):\n        raise SystemExit\n",
}
ENTRIES = """[holdfast.providers]
good = good:Good
syntax = syntax:Provider
exits = exits:Provider
raises = raises:Provider
missing = absent:Provider
attribute = good:Absent
value = other:x
class = other:NotOne
renamed = other:Named
constructor = other:Exits
memory = good:Good
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with one good plug-in and every kind of broken one."""
    for name, text in PACKAGE.items():
        (tmp_path / name).write_text(text)
    info = tmp_path / "zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def broken() -> dict[str, BrokenPlugin]:
    return {name: found for name, found in providers().items() if isinstance(found, BrokenPlugin)}


def test_broken_plugins_are_reported_beside_the_good_ones(installed: Path) -> None:
    """Whatever a plug-in does wrong becomes a report with its reason, and the others still load."""
    assert installed.exists()
    expected = {
        "syntax": "SyntaxError",
        "exits": "SystemExit: bye",
        "raises": "ValueError: no licence",
        "missing": "No module named 'absent'",
        "attribute": "AttributeError",
        "value": "no class of Provider",
        "class": "no class of Provider",
        "renamed": "calls itself 'another', not 'renamed'",
        "constructor": "cannot be constructed: SystemExit",
        "memory": "several plug-ins have this name: holdfast 0.1.0",
    }
    found = broken()

    assert set(found) == set(expected)
    for name, reason in expected.items():
        assert reason in found[name].reason, name
    assert found["syntax"].distribution == "zoo 1.0"
    assert {"good", "local"} <= set(providers()) - set(found)


def test_a_broken_plugin_cannot_be_loaded_and_says_why(installed: Path) -> None:
    """Asking for a broken driver says who installed it and what is wrong with it."""
    assert installed.exists()
    with pytest.raises(ConfigurationError, match=r"'raises' of zoo 1\.0 cannot be used: .*licence"):
        load_provider("raises")
    assert load_provider("good").name == "good"


def test_drivers_are_loaded_by_name_path_or_as_mutants() -> None:
    """A driver is found by its name, as a class in a module, or as an installed mutant."""
    assert load_provider("memory").name == "memory"
    path = "holdfast_drivers.memory:MemoryProvider"
    assert type(load_provider(path)) is type(load_provider("memory"))
    assert load_provider("mutant:rounds-down").name == "memory"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("memroy", "no driver 'memroy'; did you mean memory?"),
        ("mutant:round-down", "did you mean rounds-down"),
        ("holdfast_drivers.memory:MemoryProvidr", "did you mean MemoryProvider?"),
        ("holdfast_drivers.absent:Provider", "cannot be imported: ModuleNotFoundError"),
        ("holdfast.contract.ports:Driver", "no class of Provider"),
        ("holdfast.contract.ports:Provider", "no class of Provider"),
        (":Provider", "cannot be imported"),
    ],
)
def test_an_unknown_driver_is_named_with_the_nearest(name: str, message: str) -> None:
    """An unknown name is a configuration error that offers the nearest known ones."""
    with pytest.raises(ConfigurationError) as caught:
        load_provider(name)

    assert message in str(caught.value)


def test_mutants_with_one_name_or_of_another_kind_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two mutants of one name, and what is no mutant, are configuration errors."""
    first = Mutant(name="m", property="P-01", category="P", statement="S.", provider=GoodProvider)

    def listed(value: object) -> None:
        monkeypatch.setattr(sys.modules[__name__], "LISTED", value, raising=False)
        entry = EntryPoint("x", f"{__name__}:LISTED", plugins.MUTANTS_GROUP)

        def load(_: EntryPoint) -> object:
            return value

        def installed_entries(*, group: str) -> tuple[EntryPoint, ...]:
            return (entry,) if group == plugins.MUTANTS_GROUP else ()

        monkeypatch.setattr(EntryPoint, "load", load)
        monkeypatch.setattr(plugins, "entry_points", installed_entries)

    listed((first,))
    assert mutants() == {"m": first}
    listed((first, first))
    with pytest.raises(ConfigurationError, match="two mutants are called 'm'"):
        mutants()
    listed(("m",))
    with pytest.raises(ConfigurationError, match="lists a str"):
        mutants()
    listed(None)
    with pytest.raises(ConfigurationError, match="cannot be loaded: TypeError"):
        mutants()


def test_listing_imports_no_driver_that_was_not_asked_for(installed: Path) -> None:
    """Loading one driver by name imports no other plug-in."""
    program = (
        "import sys; from holdfast.stores.plugins import load_provider\n"
        "load_provider('memory2')\n"
        "print('raises' in sys.modules)"
    )
    entries = (installed / "zoo-1.0.dist-info" / "entry_points.txt").read_text()
    entries = entries.replace("memory =", "memory2 =").replace("'good'", "'memory2'")
    (installed / "zoo-1.0.dist-info" / "entry_points.txt").write_text(entries)
    (installed / "good.py").write_text(PACKAGE["good.py"].replace("'good'", "'memory2'"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_a_configuration_is_read_from_keys_and_values() -> None:
    """Values are converted to the types of the configuration."""
    config = parse_config(GoodProvider(), {"namespace": "ns", "size_bytes": "12"})

    assert config == Config(namespace="ns", size_bytes=12)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"namespace": "ns", "sise_bytes": 1},
            "no configuration key 'sise_…'; did you mean size_bytes?",
        ),
        ({"namespace": "ns", "xyz": 1}, "known: namespace, password, size_bytes"),
        ({"namespace": "ns", "password": "pa55word\ud800"}, "'password' of provider"),
        ({}, "needs the configuration key namespace"),
        ({"namespace": 1.5}, "'namespace' of provider good has a value of type float"),
        ({"namespace": "ns", "size_bytes": "many"}, "is no proper int"),
        ({"namespace": "ns", "password": ["pa55word"]}, "'password'"),
    ],
)
def test_a_wrong_configuration_names_the_key_and_shows_no_value(
    mapping: dict[str, object], message: str
) -> None:
    """An unknown, missing or mistyped key is named, with the nearest ones, and no value."""
    with pytest.raises(ConfigurationError) as caught:
        parse_config(GoodProvider(), mapping)

    assert message in str(caught.value)
    assert "pa55word" not in str(caught.value)
    assert "many" not in str(caught.value)


def test_opening_types_what_a_provider_raises() -> None:
    """An exception while a store is opened becomes Internal, without the configuration's secret."""

    async def story() -> None:
        config = Config(namespace="ns", password="pa55word")
        with pytest.raises(Internal) as caught:
            async with open_life_cycle(GoodProvider(), config, Role.PRIMARY):
                pytest.fail("it opened")
        assert str(caught.value) == "open: the driver raised OSError"
        with pytest.raises(Internal, match="no way to primary"):
            async with open_life_cycle(GoodProvider(), Config(namespace="ns"), Role.PRIMARY):
                pytest.fail("it opened")

    asyncio.run(story())


def test_a_role_that_a_provider_lacks_cannot_be_opened() -> None:
    """Opening an image store of a provider without them says so."""

    async def story() -> None:
        async with open_image(GoodProvider(), Config(namespace="ns")):
            pytest.fail("it opened")

    with pytest.raises(Unsupported, match="open: provider good has no image stores"):
        asyncio.run(story())


class ClosingProvider(GoodProvider):
    """A provider whose driver swallows every exception and fails while it is closed."""

    failing: ClassVar[bool] = False

    @asynccontextmanager
    async def primary(self, config: msgspec.Struct) -> AsyncIterator[PrimaryDriver]:
        provider = load_provider("memory")
        async with provider.testbeds()[next(iter(provider.testbeds()))]("test") as testbed:
            async with provider.primary(testbed.config(Role.PRIMARY, "ns")) as driver:
                try:
                    yield driver
                except ValueError:
                    return
            if self.failing:
                raise OSError(f"cannot close {config}")


def test_a_driver_cannot_swallow_the_callers_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller raises reaches the caller, and a failing close is typed."""

    async def story(error: Exception | None) -> None:
        async with open_primary(ClosingProvider(), Config(namespace="ns")):
            if error is not None:
                raise error

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(story(ValueError("mine")))
    asyncio.run(story(None))
    monkeypatch.setattr(ClosingProvider, "failing", True)
    with pytest.raises(Internal, match="close: the driver raised OSError"):
        asyncio.run(story(None))


def test_what_is_installed_while_a_program_runs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that comes, goes, or is named anew in place is known at the next question."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ConfigurationError, match="no driver 'late'"):
        load_provider("late")
    info = tmp_path / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[holdfast.providers]\nlate = {__name__}:LateProvider\n"
    )

    assert isinstance(load_provider("late"), LateProvider)
    (info / "entry_points.txt").write_text(
        f"[holdfast.providers]\nlater = {__name__}:LateProvider\n"
    )
    with pytest.raises(ConfigurationError, match="did you mean later"):
        load_provider("late")
    shutil.rmtree(info)
    with pytest.raises(ConfigurationError, match="no driver 'late'"):
        load_provider("late")
