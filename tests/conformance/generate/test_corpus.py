"""The corpus: plans that killed what only chance had found, run first, whatever the seed."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import CreateVolume, Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.generate import corpus as kept_plans
from holdfast_conformance.generate import generate_plans
from holdfast_conformance.generate.corpus import corpus, corpus_of, kept
from holdfast_conformance.plan import HealFault, InjectFault, Plan, decode_plan
from holdfast_conformance.plan_limits import excess_of
from holdfast_conformance.profiles import PROFILES, find_profile
from holdfast_conformance.report.suite import suite_facts
from holdfast_drivers.memory.config import IMAGE_CAPABILITIES, PRIMARY_CAPABILITIES

TOOL = Path(__file__).resolve().parents[3] / "tools" / "corpus"
DECLARED: dict[Role, PrimaryCapabilities | ImageCapabilities] = {
    Role.PRIMARY: PRIMARY_CAPABILITIES,
    Role.IMAGE: IMAGE_CAPABILITIES,
}
DOWN = Plan(
    id="whatever",
    role=Role.PRIMARY,
    origin="random",
    store="store",
    hosts=(),
    ready=True,
    steps=(InjectFault(fault=Fault.DOWN), HealFault(), CreateVolume(key="v", size_bytes=4096)),
)


def test_what_is_kept_is_within_the_limits_and_named_by_what_it_does() -> None:
    """No kept plan is beyond what a plan may ask for, and none is there twice."""
    assert [excess_of(plan) for plan in corpus()] == [""] * len(corpus())
    assert [kept(plan) for plan in corpus()] == list(corpus())
    assert len({plan.id for plan in corpus()}) == len(corpus())


@pytest.mark.parametrize("role", Role)
def test_it_runs_first_in_each_profile_but_the_smallest(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the seed, so that what was once found is found at once."""
    both = (kept(DOWN), kept(msgspec.structs.replace(DOWN, role=Role.IMAGE, steps=DOWN.steps[:2])))
    monkeypatch.setattr(kept_plans, "corpus", lambda: both)
    due = tuple(corpus_of(role, Fault))
    assert [plan.role for plan in due] == [role]
    for name in ("smoke", "ci"):
        for seed in (0, 77):
            plans = generate_plans(role, DECLARED[role], find_profile(name), seed)
            assert plans[: len(due)] == due
            assert not set(due) & set(plans[len(due) :])

    quick = generate_plans(role, DECLARED[role], find_profile("quick"), 0)
    assert not set(due) & set(quick)
    assert [name for name, profile in PROFILES.items() if not profile.corpus] == ["quick"]


def test_a_plan_that_needs_a_fault_is_left_out_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A testbed that cannot put it in force is not asked to."""
    monkeypatch.setattr(kept_plans, "corpus", lambda: (kept(DOWN),))

    assert tuple(corpus_of(Role.PRIMARY, Fault)) == (kept(DOWN),)
    assert tuple(corpus_of(Role.PRIMARY, ())) == ()
    assert tuple(corpus_of(Role.IMAGE, Fault)) == ()


def test_a_plan_is_kept_under_the_same_name_wherever_it_came_from() -> None:
    """Its name follows from what it does alone."""
    assert kept(DOWN) == kept(kept(DOWN))
    assert kept(DOWN).steps == DOWN.steps
    assert kept(DOWN).id.startswith("primary-corpus-")


def test_a_report_names_the_corpus_that_it_was_made_with() -> None:
    """Two suites with other corpora are no one suite."""
    assert suite_facts().plans_version.endswith(f"+{kept_plans.corpus_digest()}")


@pytest.mark.slow
def test_the_tool_keeps_what_chance_found_and_no_story(tmp_path: Path) -> None:
    """What a story kills leaves the corpus as it is, to the byte."""
    out = tmp_path / "corpus.jsonl"
    command = [sys.executable, str(TOOL), "--profile", "smoke", "--seeds", "1", "--out", str(out)]
    done = subprocess.run(
        [*command, "range-starts-one-byte-late"], capture_output=True, text=True, check=True
    )

    assert "range-starts-one-byte-late: killed by ranges" in done.stdout
    assert tuple(map(decode_plan, out.read_bytes().splitlines())) == corpus()
    assert "0 plans added" in done.stdout
