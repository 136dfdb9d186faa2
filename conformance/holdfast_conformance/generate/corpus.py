"""The distilled corpus: plans that killed a defect which chance alone had found, made small.

``tools/corpus`` writes the file. Its plans are the same for every seed and every store: what a
store does not declare, it must refuse. They run before all that is drawn.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

import msgspec

from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.plan import InjectFault, Plan, decode_plan, encode_plan
from holdfast_conformance.plan_limits import excess_of_work

CORPUS_NAME = "corpus.jsonl"
CORPUS_ORIGIN = "corpus"
_PACKAGE = "holdfast_conformance.generate"
_DIGITS = 12


@cache
def corpus() -> tuple[Plan, ...]:
    """All plans that are kept, in the order in which they were."""
    document = (files(_PACKAGE) / CORPUS_NAME).read_bytes()
    return tuple(decode_plan(line) for line in document.splitlines())


@cache
def corpus_digest() -> str:
    """The first digits of the SHA-256 of the corpus: part of the version of what is generated."""
    return hashlib.sha256((files(_PACKAGE) / CORPUS_NAME).read_bytes()).hexdigest()[:_DIGITS]


def corpus_of(role: Role, faults: Iterable[Fault]) -> Iterator[Plan]:
    """The plans of one role, but for those that need a fault which a testbed does not have."""
    available = frozenset(faults)
    for plan in corpus():
        fits = available.issuperset(faults_of(plan)) and not excess_of_work(plan)
        if plan.role is role and fits:
            yield plan


def kept(plan: Plan) -> Plan:
    """A plan as the corpus keeps it: named by what it does, wherever it came from."""
    bare = msgspec.structs.replace(plan, id="", origin=CORPUS_ORIGIN)
    digest = hashlib.sha256(encode_plan(bare)).hexdigest()[:_DIGITS]
    return msgspec.structs.replace(bare, id=f"{plan.role.value}-{CORPUS_ORIGIN}-{digest}")


def faults_of(plan: Plan) -> frozenset[Fault]:
    """The faults that a plan puts in force."""
    return frozenset(step.fault for step in plan.steps if isinstance(step, InjectFault))
