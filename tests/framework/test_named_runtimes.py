"""A runtime that is named is loaded, or the name is said to be wrong."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from holdfast.concurrency.lanes import InlineLane, in_lane
from holdfast.concurrency.named_runtimes import load_runtime
from holdfast.concurrency.runtime import InlineRuntime, RealRuntime, Runtime, run_in, runtime
from holdfast.contract.errors import ConfigurationError
from holdfast_simulator.loop import VirtualLoop, VirtualRuntime

P = ParamSpec("P")
T = TypeVar("T")

RUNTIMES: dict[str, type[Runtime]] = {
    "holdfast.concurrency.runtime:RealRuntime": RealRuntime,
    "holdfast.concurrency.runtime:InlineRuntime": InlineRuntime,
    "holdfast_simulator.loop:VirtualRuntime": VirtualRuntime,
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_is_named_runs_on_its_own_loop_with_the_seed(name: str) -> None:
    """Runtime and loop come from one name; equal seeds give equal ids."""

    async def main() -> tuple[type[Runtime], bool, str]:
        is_virtual = isinstance(asyncio.get_running_loop(), VirtualLoop)
        return type(runtime()), is_virtual, runtime().new_id("x")

    first, second, other = (run_in(load_runtime(name, seed=seed), main()) for seed in (7, 7, 8))

    assert first == second
    assert first[:2] == (RUNTIMES[name], name.startswith("holdfast_simulator"))
    assert first[2] != other[2]


WRONG = {
    "": "module:factory",
    "wrong_runtimes": "module:factory",
    ":made": "module:factory",
    "wrong_runtimes:": "module:factory",
    "no_such_runtimes:made": "cannot be imported: ModuleNotFoundError",
    "runtimes_that_end:made": r"cannot be imported: SystemExit\(3\)",
    "wrong_runtimes:missing": "has no factory 'missing'",
    "wrong_runtimes:number": "has no factory 'number'",
    "wrong_runtimes:without_seed": "cannot be made: TypeError",
    "wrong_runtimes:broken": "cannot be made: LookupError",
    "wrong_runtimes:other": "makes a str, and no Runtime",
}
MODULES = {
    "wrong_runtimes": """
number = 1
def without_seed(): ...
def broken(*, seed): raise LookupError("mine")
def other(*, seed): return "nothing"
""",
    "runtimes_that_end": "raise SystemExit(3)",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_a_typed_error_that_says_why(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it, also in what it leads to."""
    for module, text in MODULES.items():
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with pytest.raises(ConfigurationError, match=WRONG[name]):
        load_runtime(name, seed=1)


@pytest.mark.parametrize("chosen", [RealRuntime(seed=1), InlineRuntime(seed=1)])
def test_work_is_done_in_the_lane_of_its_context_whatever_that_is(chosen: Runtime) -> None:
    """A lane that the runtime has not opened itself is used all the same."""

    class Counting(InlineLane):
        works = 0

        async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
            self.works += 1
            return await super().run(function, *args, **kwargs)

    async def main() -> tuple[int, int]:
        counting = Counting()
        with in_lane(counting):
            return await runtime().run_blocking(int, "7"), counting.works

    assert run_in(chosen, main()) == (7, 1)
