"""A random plan in the making: a walk through the model, one rule after another."""

from collections.abc import Callable, Iterator

import msgspec

from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.requests import CreateVolume
from holdfast_conformance.model.features import declared_features, features_of
from holdfast_conformance.model.primary_state import PrimaryState
from holdfast_conformance.model.primary_store import PrimaryModel
from holdfast_conformance.model.role_model import Fenced
from holdfast_conformance.plan import LateCall, Plan, Step, preparation
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.scenarios.name_classes import some_names, without_joining
from holdfast_conformance.scenarios.script import ALL_HOSTS, STRANGER, Script

VOLUMES_MAX = 6
"""More live volumes than this teach nothing and make every observation longer."""

Rule = Callable[["Walk"], Iterator[Step]]


class Walk:
    """One plan in the making: the model's state, and the steps that led there."""

    def __init__(self, declared: PrimaryCapabilities, choices: Choices, plan: Plan) -> None:
        self.script = Script(declared, choices)
        self.choices = choices
        self.declared = declared_features(declared)
        self._model = PrimaryModel(declared)
        # Any of the steps may turn out to be a late one.
        self.state: PrimaryState = msgspec.structs.replace(
            self._model.initial(plan), fenced=Fenced()
        )
        self.refused: list[Step] = []
        self.steps: list[Step] = []
        self._named: list[str] = []
        self._odd = without_joining(some_names(choices, 1 + choices.below(2)))
        for step in preparation(plan):
            self._follow(step)

    def take(self, step: Step) -> None:
        """Append a step, unless it needs what is not declared."""
        if self.declared.issuperset(features_of(step)):
            self.steps.append(step)
            self._follow(step)

    def _follow(self, step: Step) -> None:
        expectation = self._model.expect(self.state, step)
        if expectation.branches[0].kind is not None and not isinstance(step, LateCall):
            self.refused.append(step)
        self.state = expectation.likely

    def succeeds(self, step: Step) -> bool:
        """Whether the model counts on a step to succeed now."""
        return self._model.expect(self.state, step).branches[0].kind is None

    def name(self) -> str:
        """A new name, or one that was used before and may be free again; some are odd."""
        if self._named and self.choices.one_in(6):
            return self.choices.pick(self._named)
        name = self.odd_name() if self.choices.one_in(4) else self.script.name()
        self._named.append(name)
        return name

    def odd_name(self) -> str:
        """One of the few odd names of this plan."""
        return self.choices.pick(self._odd)

    def create(self) -> CreateVolume:
        """A new volume of a small size; half of them have room for many layers."""
        size_bytes = self.script.roomy_size() if self.choices.below(2) else None
        return self.script.create(self.name(), size_bytes)

    def volume(self) -> str:
        """A live volume most of the time, else one that was deleted or never was."""
        live = tuple(self.state.volumes)
        if live and not self.choices.one_in(12):
            return self.choices.pick(live)
        if not live and self.choices.below(4):
            self.take(self.create())
            return next(iter(self.state.volumes), "never-was")
        return self.choices.pick((*sorted(self.state.deleted), "never-was"))

    def snapshot(self) -> str:
        """A live snapshot, if there is one."""
        return self.choices.pick((*self.state.snapshots, "no-snapshot"))

    def host(self) -> str:
        """An attached host most of the time."""
        if self.choices.one_in(15):
            return self.choices.pick((*ALL_HOSTS, STRANGER))
        return self.choices.pick(sorted(self.state.store.hosts) or ALL_HOSTS[:1])

    def mode(self) -> AccessMode:
        """A declared mode."""
        return self.choices.pick(self.script.declared.access.modes)
