"""Whether traces are of all plans that suite, profile, seed, capabilities and faults demand.

The set of plans is made anew, for every role that the provider is said to have. A run that was
stopped has the beginning of it, says so, and is no certificate of its profile.
"""

from collections.abc import Iterator

from holdfast.contract.capabilities import Capabilities
from holdfast.contract.errors import UsageError
from holdfast.contract.requests import Role
from holdfast.contract.testbed import Fault
from holdfast_conformance.generate import plans_of
from holdfast_conformance.judgement.judge import PlanJudge, capabilities_in
from holdfast_conformance.plan import Plan, encode_plan
from holdfast_conformance.profiles import find_profile
from holdfast_conformance.report.inputs import ReportInputs
from holdfast_conformance.stopping import Stop, known_wrong
from holdfast_conformance.trace import Broken, Loaded, Started, TraceRecord
from holdfast_conformance.verdict import Level

SEED_MAX = (1 << 63) - 1
"""Seeds are 0 to this."""
_PROBLEMS_MAX = 100


def cut_short(role: Role, begun: int, profile: str) -> str:
    """Why the traces of a role that was stopped are no certificate of its profile."""
    return (
        f"the run was stopped after {begun} plans of the {role.value} role, "
        f"and profile {profile} has more"
    )


class _LoadedRole:
    """A role: what is due, and what came of it."""

    def __init__(self, capabilities: Capabilities | None, due: Iterator[Plan]) -> None:
        self.capabilities = capabilities
        self.due = due
        self.begun = self.diverged = self.broken = 0


class PlanCheck:
    """Is shown every record of a report and keeps what does not fit.

    Args:
        inputs: what is stated.

    Raises:
        ConfigurationError: there is no such profile.
        UsageError: there is no such seed.
    """

    def __init__(self, inputs: ReportInputs) -> None:
        self._inputs = inputs
        self._profile = find_profile(inputs.run.profile)
        if not 0 <= inputs.run.seed <= SEED_MAX:
            raise UsageError(f"seed {inputs.run.seed} is none: they are 0 to {SEED_MAX}")
        self._first: Loaded | None = None
        self._roles: dict[Role, _LoadedRole] = {}
        self._current: Role | None = None
        self._problems: dict[str, None] = {}
        self.executed: set[tuple[str, str]] = set()
        """The role and the id of every plan that there is a trace of."""
        self.cut: dict[Role, str] = {}
        """After ``close``: for each role that was not run through all of its plans, the reason."""

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
            case Broken() if self._current is not None:
                self._roles[self._current].broken += 1
            case _:
                return

    def over(self, judged: PlanJudge) -> None:
        """The trace that was shown is over, and was judged."""
        if self._current is not None and judged.diverged:
            self._roles[self._current].diverged += 1

    def close(self) -> None:
        """All traces were shown: look for roles and plans that are not there."""
        declared = self._first.roles if self._first is not None else ()
        if not self._roles:
            self._tell("no role was loaded")
        for role in declared:
            if role not in self._roles:
                self._tell(f"the provider has the {role.value} role, and no trace loads it")
        for role, loaded in self._roles.items():
            self._finish(role, loaded)
        for role in self._inputs.run.stopped:
            if role not in self._roles:
                self._tell(f"the {role.value} role is said to have been stopped, and was not run")

    def _load(self, name: str, record: Loaded) -> None:
        role = record.role
        if role in self._roles:
            raise UsageError(f"{name} loads the {role.value} role once more")
        self._unlike("driver", self._inputs.stated.driver.provider, record.provider)
        first = self._first = self._first or record
        if (record.roles, record.faults) != (first.roles, first.faults):
            self._tell(f"{name} tells of other roles or faults than the first trace")
        # A driver that could not even be started has no roles yet.
        place = len(self._roles)
        refused = not record.roles and bool(record.defects) and not record.documents
        if not refused and record.roles[place : place + 1] != (role,):
            self._tell(f"{name} loads the {role.value} role, and it was another's turn")
        capabilities = capabilities_in(record)
        self._roles[role] = _LoadedRole(capabilities, self._due(role, capabilities, record.faults))
        self._current = None

    def _due(
        self, role: Role, capabilities: Capabilities | None, faults: tuple[Fault, ...]
    ) -> Iterator[Plan]:
        if capabilities is None or self._inputs.requested is Level.L0:
            return iter(())
        return plans_of(role, capabilities, self._profile, self._inputs.run.seed, faults)

    def _start(self, record: Started) -> None:
        self._unlike("driver", self._inputs.stated.driver.reference, record.provider)
        self._unlike("backend", self._inputs.stated.backend.kind.value, record.testbed)
        plan, role = record.plan, record.plan.role
        self.executed.add((role.value, plan.id))
        loaded = self._roles.get(role)
        self._current = role if loaded is not None else None
        if loaded is None or record.capabilities != loaded.capabilities:
            self._tell(f"plan {plan.id} was run with other capabilities than were loaded")
            return
        if role is not tuple(self._roles)[-1]:
            self._tell(f"plan {plan.id} was run when another role was loaded")
        if self._first is not None and record.faults != self._first.faults:
            self._tell(f"plan {plan.id} was run with other faults than were loaded")
        if known_wrong(loaded.diverged, loaded.broken):
            self._tell(f"plan {plan.id} was run after the role was known to be wrong")
        loaded.begun += 1
        right = next(loaded.due, None)
        if right is None or encode_plan(plan) != encode_plan(right):
            self._tell(
                f"plan {plan.id} is not what suite, profile, seed, capabilities and faults give"
            )

    def _finish(self, role: Role, loaded: _LoadedRole) -> None:
        """Whether a role was run through all of its plans, or was stopped and says so."""
        stop, missing = self._inputs.run.stopped.get(role), next(loaded.due, None)
        known = known_wrong(loaded.diverged, loaded.broken)
        if missing is None:
            if stop is not None:
                self._tell(f"the {role.value} role is said to have been stopped, and was not")
            return
        self.cut[role] = cut_short(role, loaded.begun, self._profile.name)
        if stop is None:
            self._tell(f"plan {missing.id} is missing, and whatever comes after it")
        elif known is not (stop is Stop.KNOWN_WRONG):
            self._tell(
                f"the {role.value} role is said to have been stopped {stop.value}, with "
                f"{loaded.diverged} plans that diverged and {loaded.broken} that broke a process"
            )

    def _unlike(self, what: str, stated: str, traced: str) -> None:
        if stated != traced:
            self._tell(f"{what} {stated!r} is stated, and the traces are of {traced!r}")

    def _tell(self, problem: str) -> None:
        if len(self._problems) < _PROBLEMS_MAX:
            self._problems[problem] = None
