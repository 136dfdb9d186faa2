"""Whether traces are of the plans that suite, seed and capabilities give, and of what is stated."""

from collections.abc import Iterator

from holdfast.capabilities import Capabilities
from holdfast.errors import UsageError
from holdfast.requests import Role
from holdfast.testbed import Fault
from holdfast_conformance.generate import plans_of
from holdfast_conformance.judgement.judge import capabilities_in
from holdfast_conformance.plan import Plan, encode_plan
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.report.document import Report
from holdfast_conformance.trace import Loaded, Started, TraceRecord

SEED_MAX = (1 << 63) - 1
"""Seeds are 0 to this."""
_PROBLEMS_MAX = 100


class PlanCheck:
    """Is shown every record of a report and keeps what does not fit.

    Args:
        report: what is stated.

    Raises:
        ConfigurationError: there is no such profile.
        UsageError: there is no such seed.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._profile = find_profile(report.run.profile)
        if not 0 <= report.run.seed <= SEED_MAX:
            raise UsageError(f"seed {report.run.seed} is none: they are 0 to {SEED_MAX}")
        self._loaded: dict[Role, Capabilities | None] = {}
        self._faults: dict[Role, tuple[Fault, ...]] = {}
        self._due: dict[Role, Iterator[Plan]] = {}
        self._problems: dict[str, None] = {}
        self.executed: set[tuple[str, str]] = set()
        """The role and the id of every plan that there is a trace of."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What did not fit, each once."""
        return tuple(self._problems)

    def look(self, name: str, record: TraceRecord) -> None:
        """Look at the next record."""
        match record:
            case Loaded():
                self._load(name, record)
            case Started():
                self._start(record)
            case _:
                return

    def _load(self, name: str, record: Loaded) -> None:
        if record.role in self._loaded:
            raise UsageError(f"{name} loads the {record.role.value} role once more")
        self._loaded[record.role] = capabilities_in(record)
        self._unlike("driver", self._report.driver.provider, record.provider)

    def _start(self, record: Started) -> None:
        self._unlike("driver", self._report.driver.reference, record.provider)
        self._unlike("backend", self._report.backend.kind.value, record.testbed)
        plan, role = record.plan, record.plan.role
        self.executed.add((role.value, plan.id))
        declared = self._loaded.get(role)
        if declared is None or record.capabilities != declared:
            self._tell(f"plan {plan.id} was run with other capabilities than were loaded")
            return
        if self._faults.setdefault(role, record.faults) != record.faults:
            self._tell(f"plan {plan.id} was run with other faults than the first")
        if role not in self._due:
            seed = self._report.run.seed
            self._due[role] = plans_of(role, declared, self._profile, seed, record.faults)
        right = next(self._due[role], None)
        if right is None or encode_plan(plan) != encode_plan(right):
            self._tell(f"plan {plan.id} is not what suite, seed and capabilities give")

    def _unlike(self, what: str, stated: str, traced: str) -> None:
        if stated != traced:
            self._tell(f"{what} {stated!r} is stated, and the traces are of {traced!r}")

    def _tell(self, problem: str) -> None:
        if len(self._problems) < _PROBLEMS_MAX:
            self._problems[problem] = None
