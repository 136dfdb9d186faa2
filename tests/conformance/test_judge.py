"""The judge, on traces written by hand."""

from collections.abc import Iterator

import msgspec
import pytest

from holdfast.contract.answers import Gone, OwnedKind, StoreInfo, StoreState, VolumeInfo
from holdfast.contract.capabilities import (
    AccessCapabilities,
    AccessMode,
    PrimaryCapabilities,
    VolumeCapabilities,
)
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import CreateVolume, DeleteVolume, Grant, Role
from holdfast.contract.testbed import Inspected
from holdfast_conformance.judgement.attribution import answers_for
from holdfast_conformance.judgement.judge import PlanJudge, judge
from holdfast_conformance.judgement.registry import all_properties
from holdfast_conformance.model.content import EMPTY
from holdfast_conformance.plan import Step
from holdfast_conformance.trace import (
    Broken,
    BrokenKind,
    Ended,
    Loaded,
    Nonsense,
    Observed,
    Outcome,
    Raised,
    Returned,
    Started,
    Stepped,
    TraceRecord,
)
from holdfast_conformance.verdict import Level, PropertyResult, Status, Verdict
from small_plans import plan_without_hosts

SIZE = 8192
DECLARED = PrimaryCapabilities(
    volume=VolumeCapabilities(
        size_min_bytes=1, size_max_bytes=1 << 40, size_granularity_bytes=4096
    ),
    access=AccessCapabilities(),
)
DOCUMENT = msgspec.json.encode(DECLARED).decode()
LOADED = Loaded(provider="x", role=Role.PRIMARY, defects=(), documents=(DOCUMENT,) * 3)
STORE = Inspected(kind=OwnedKind.STORE, key="store", detail="store|up|")
VOLUME = Inspected(
    kind=OwnedKind.VOLUME, key="v", size_bytes=SIZE, digest=EMPTY.digest("p", SIZE) or ""
)
CREATE = CreateVolume(key="v", size_bytes=SIZE)
DELETE = DeleteVolume(key="v")
CREATED = Returned(VolumeInfo(key="v", id="1", size_bytes=SIZE))
GONE = Returned(Gone(key="v"))
INITIALIZED = Returned(StoreInfo(id="s", name="store", state=StoreState.UP))
REFUSED = Raised(
    kind=ErrorKind.IN_USE, verb="delete_volume", object="v", cause="it is granted", final=True
)

Told = tuple[Step, Outcome, tuple[Inspected, ...] | None]


def trace(*told: Told) -> Iterator[TraceRecord]:
    """The trace of a plan with these steps, what came of each, and what was then there."""
    plan = plan_without_hosts(*(step for step, _, _ in told))
    yield Started(provider="x", testbed="y", capabilities=DECLARED, plan=plan)
    yield stepped(-1, INITIALIZED)
    yield Observed(index=-1, things=(STORE,), outside_digest="o")
    for index, (_, outcome, things) in enumerate(told):
        yield stepped(index, outcome)
        seen = things if things is None else (STORE, *things)
        yield Observed(index=index, things=seen, outside_digest="o")


def stepped(
    index: int, outcome: Outcome, *, invoked_s: float = 0.0, returned_s: float = 0.0
) -> Stepped:
    return Stepped(
        index=index,
        client=0,
        outcome=outcome,
        invoked_s=invoked_s,
        returned_s=returned_s,
        virtual_s=0.1,
        real_s=0.1,
        deadline_s=1.0,
    )


def ended(*left: Inspected) -> Ended:
    return Ended(left=left, enumerated=(), failures=(), outside_digest="o")


def judged(*records: TraceRecord) -> dict[str, PropertyResult]:
    return by_id(judge(all_properties(), [(LOADED,), records]))


def by_id(verdict: Verdict) -> dict[str, PropertyResult]:
    return {result.id: result for result in verdict.results}


def failed(results: dict[str, PropertyResult]) -> set[str]:
    return {name for name, result in results.items() if result.status is Status.FAIL}


GOOD: tuple[Told, ...] = (
    (CREATE, CREATED, (VOLUME,)),
    (CREATE, CREATED, None),
    (CREATE, CREATED, None),
    (CREATE, CREATED, None),
    (DELETE, GONE, ()),
)


def test_what_held_often_enough_passes_and_the_rest_is_vacuous() -> None:
    """A property passes only when it was exercised; the others say how often they were."""
    results = judged(*trace(*GOOD), ended())

    assert failed(results) == set()
    assert results["VOL-02"].status is Status.PASS
    assert results["VOL-02"].exercised == 3
    assert results["VOL-07"].status is Status.VACUOUS
    assert "1 times" in results["VOL-07"].reason
    assert results["SNP-01"].status is Status.NOT_APPLICABLE
    assert "snapshots" in results["SNP-01"].reason


def test_vacuous_is_no_level() -> None:
    """A few steps do not make a level, and neither does loading alone."""
    few = judge(all_properties(), [(LOADED,), (*trace(*GOOD), ended())])
    loaded = judge(all_properties(), [(LOADED,)], requested=Level.L0)
    nothing = judge(all_properties(), [])

    assert (few.level, few.ok) == (Level.L0, False)
    assert (loaded.level, loaded.ok) == (Level.L0, True)
    assert (nothing.level, nothing.ok) == (None, False)


def test_another_id_for_the_same_volume_fails() -> None:
    """The answer to a repeated create must be the same volume."""
    other = Returned(VolumeInfo(key="v", id="2", size_bytes=SIZE))

    results = judged(*trace((CREATE, CREATED, (VOLUME,)), (CREATE, other, None)))

    assert failed(results) == {"VOL-02", "IDM-01"}
    assert results["VOL-02"].findings[0].index == 1
    assert results["VOL-02"].findings[0].expected.endswith(": 1")


def test_a_volume_that_is_still_there_fails() -> None:
    """What the inspector finds counts, not what the driver says."""
    results = judged(*trace((CREATE, CREATED, (VOLUME,)), (DELETE, GONE, None)))

    assert "VOL-07" in failed(results)


def test_a_refusal_without_a_reason_fails() -> None:
    """An error that is not allowed is never silently accepted."""
    results = judged(*trace((CREATE, CREATED, (VOLUME,)), (DELETE, REFUSED, None)))

    assert failed(results) == {"VOL-04"}


def test_nothing_is_judged_after_the_first_divergence() -> None:
    """Steps after a divergence prove nothing, in either direction."""
    wrong = (DELETE, REFUSED, None)

    results = judged(*trace(wrong, *GOOD, wrong))

    assert results["VOL-02"].exercised == 0


def test_the_judge_tells_when_to_stop() -> None:
    """An executor that asks after each record can end a plan that has diverged."""
    records = tuple(trace((CREATE, CREATED, (VOLUME,)), (DELETE, REFUSED, None)))
    watching = PlanJudge(all_properties())
    states: list[bool] = []
    for record in records:
        watching.feed(record)
        states.append(watching.diverged)

    assert states == [False] * (len(records) - 1) + [True]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (BrokenKind.HUNG, {"CAP-07", "PRF-01"}),
        (BrokenKind.DIED, {"CAP-07"}),
        (BrokenKind.BASE_EXCEPTION, {"CAP-07"}),
    ],
)
def test_a_broken_process_is_a_verdict_about_the_driver(
    how: BrokenKind, expected: set[str]
) -> None:
    """A driver that hangs, exits or raises what is no error fails."""
    broken = Broken(index=0, client=0, how=how, detail="seen by the supervisor")
    records = tuple(trace((CREATE, CREATED, (VOLUME,))))

    assert failed(judged(*records[:3], broken)) == expected


def test_nonsense_fails_the_interface() -> None:
    """An answer that is none violates CAP-01, whatever else it violates."""
    assert "CAP-01" in failed(judged(*trace((CREATE, Nonsense("None"), None))))


def test_what_is_left_at_the_end_fails() -> None:
    """A leak shows although every step was right."""
    results = judged(*trace(*GOOD), ended(VOLUME))

    assert failed(results) == {"LIF-09", "VOL-07"}


def test_a_step_that_was_not_observed_is_judged_by_its_answer() -> None:
    """A trace that was cut off before the observation still counts."""
    results = judged(*tuple(trace((CREATE, REFUSED, None)))[:-1])

    assert "VOL-01" in failed(results)


def statuses(*records: TraceRecord) -> set[Status]:
    return {result.status for result in judged(*records).values()}


WHOLE = (*trace(*GOOD), ended())


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_a_trace_that_stops_before_its_end_is_never_a_pass(length: int) -> None:
    """Wherever a trace without a failure stops, it is an error, and no level is reached."""
    verdict = judge(all_properties(), [(LOADED,), WHOLE, WHOLE[:length]])

    assert (verdict.level, verdict.ok) == (None, False)
    results = by_id(verdict)
    assert results["VOL-02"].status is Status.ERROR
    assert "the trace of p is not whole: it stops where" in results["VOL-02"].reason


@pytest.mark.parametrize("place", range(1, len(WHOLE)))
def test_a_trace_with_a_record_left_out_or_told_twice_is_never_a_pass(place: int) -> None:
    """Every step must be there once, in its order, with its observation."""
    less = WHOLE[:place] + WHOLE[place + 1 :]
    more = (*WHOLE[: place + 1], *WHOLE[place:])

    assert statuses(*less) & {Status.FAIL, Status.ERROR} != set()
    assert statuses(*more) & {Status.FAIL, Status.ERROR} != set()


@pytest.mark.parametrize(("invoked_s", "returned_s"), [(1.0, 2.0), (4.0, 3.0)])
def test_a_call_at_an_impossible_time_is_never_a_pass(invoked_s: float, returned_s: float) -> None:
    """No client calls before its last call returned, and none returns before it was made."""
    records = [*WHOLE]
    records[1] = stepped(-1, INITIALIZED, invoked_s=1.0, returned_s=1.5)
    at = next(place for place, found in enumerate(records) if found == stepped(0, CREATED))
    records[at] = stepped(0, CREATED, invoked_s=invoked_s, returned_s=returned_s)
    results = judged(*records[: at + 1])

    assert results["VOL-02"].status is Status.ERROR
    assert "is of no time at which client 0 called" in results["VOL-02"].reason


def test_two_plans_in_one_trace_are_never_a_pass() -> None:
    """A trace is of one plan, or of one loading."""
    assert Status.ERROR in statuses(*WHOLE, *WHOLE)
    assert Status.ERROR in statuses(*WHOLE, LOADED)
    assert Status.ERROR in statuses(LOADED, *WHOLE)


def test_a_trace_may_stop_at_its_divergence() -> None:
    """What was judged to fail is a failure and no error, although the plan was stopped there."""
    records = tuple(trace((CREATE, CREATED, (VOLUME,)), (DELETE, REFUSED, None), *GOOD))

    assert Status.FAIL in statuses(*records[:7])
    assert Status.ERROR not in statuses(*records[:7])


GRANT = Grant(volume="v", host="h", mode=AccessMode.EXCLUSIVE, secret="chap")


def test_secrets_are_kept_only_where_there_is_one() -> None:
    """A plan without a secret says nothing of how secrets are kept."""
    none = judged(*WHOLE)
    assert (none["SEC-01"].status, none["SEC-01"].exercised) == (Status.VACUOUS, 0)

    absent = Raised(
        kind=ErrorKind.NOT_FOUND, verb="grant", object="v", cause="no such volume", final=True
    )
    some = judged(*trace(*GOOD, (GRANT, absent, None), (DELETE, GONE, None)), ended())
    assert (failed(some), some["SEC-01"].exercised) == (set(), 2)


def test_a_secret_that_is_seen_is_a_failure_wherever_it_is() -> None:
    """A secret of the configuration counts also in a plan that brings none."""
    first, *rest = trace(*GOOD)
    told = [
        msgspec.structs.replace(record, canaries=("log",))
        if isinstance(record, Stepped)
        else record
        for record in rest
    ]
    assert "SEC-01" in failed(judged(first, *told, ended()))


@pytest.mark.parametrize(("digest", "told"), [("", Status.VACUOUS), ("o", Status.PASS)])
def test_a_place_that_nobody_looked_at_is_not_found_untouched(digest: str, told: Status) -> None:
    """Names reach nothing outside only where the inspector can tell what is outside."""
    key = "../escaped"
    create = CreateVolume(key=key, size_bytes=SIZE)
    created = Returned(VolumeInfo(key=key, id="1", size_bytes=SIZE))
    volume = msgspec.structs.replace(VOLUME, key=key)
    steps = ((create, created, (volume,)), (create, created, None), (create, created, None))
    records = [
        msgspec.structs.replace(record, outside_digest=digest)
        if isinstance(record, Observed | Ended)
        else record
        for record in (*trace(*steps), ended())
    ]

    assert judged(*records)["SEC-02"].status is told


def test_a_replayed_step_answers_for_what_it_can_violate() -> None:
    """A mended driver holds again, also where the property does not count what is right."""
    assert answers_for("delete_volume", "VOL-04")
    assert answers_for("initialize_bad", "SEC-01")
    assert not answers_for("stats", "SEC-01")
    assert not answers_for("delete_volume", "SNP-01")


def test_documents_that_differ_fail_loading() -> None:
    """Capabilities that change between two readings are no capabilities."""
    drifting = msgspec.structs.replace(LOADED, documents=(DOCUMENT, DOCUMENT, DOCUMENT + " "))

    verdict = judge(all_properties(), [(drifting,)])

    assert failed(by_id(verdict)) == {"CAP-02"}
    assert verdict.level is None


def test_the_same_traces_give_the_same_verdict() -> None:
    """The verdict is a function of the traces."""
    records = tuple(trace(*GOOD))

    assert judge(all_properties(), [(LOADED,), records]) == judge(
        all_properties(), [(LOADED,), records]
    )
