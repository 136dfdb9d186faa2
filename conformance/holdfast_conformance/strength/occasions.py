"""Which stories put a property to the test, so that a defect's own property is tried first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from holdfast_conformance.judgement.judge import PlanJudge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.plan import Plan
from holdfast_conformance.trace import Started
from holdfast_conformance.trace_lines import records_in

OCCASIONS_NAME = "occasions.json"
_PACKAGE = "holdfast_conformance.strength"
_STORIES_MAX = 8
"""So many stories of a property are kept, the densest first: a defect shows in one of the first."""

Occasions = Mapping[str, tuple[str, ...]]
"""For each property the stories that put it to the test, as ``ROLE:ORIGIN``."""


@cache
def known_occasions() -> Occasions:
    """What ``tools/occasions`` last found in a run of the reference driver."""
    document = (files(_PACKAGE) / OCCASIONS_NAME).read_bytes()
    return msgspec.json.decode(document, type=dict[str, tuple[str, ...]])


def story_of(plan: Plan) -> str:
    """The story that a plan tells."""
    return f"{plan.role.value}:{plan.origin}"


def in_order_of_occasion(plans: Iterable[Plan], target: str) -> tuple[Plan, ...]:
    """The same plans: those that put a property to the test first, all others as they came."""
    stories = known_occasions().get(target, ())
    place = {story: number for number, story in enumerate(stories)}
    return tuple(sorted(plans, key=lambda plan: place.get(story_of(plan), len(place))))


def occasions_in(traces: Sequence[Path]) -> Occasions:
    """What the traces of a run show: how often, for each step, a story is an occasion."""
    steps: Counter[str] = Counter()
    occasions: dict[str, Counter[str]] = {}
    for path in traces:
        judge, story = PlanJudge(all_properties()), ""
        with path.open("rb") as lines:
            for record in records_in(path.name, lines):
                if isinstance(record, Started):
                    story = story_of(record.plan)
                    steps[story] += len(record.plan.steps)
                judge.feed(record)
        judge.finish()
        for identifier, times in judge.exercised.items():
            if story:
                occasions.setdefault(identifier, Counter())[story] += times
    return {
        identifier: tuple(sorted(found, key=lambda story: (-found[story] / steps[story], story)))[
            :_STORIES_MAX
        ]
        for identifier, found in sorted(occasions.items())
    }
