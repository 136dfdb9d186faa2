"""The kinds of step there are, by name and version."""

import difflib
from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.operations.plans import PlannedStep, UnknownStep
from holdfast.operations.step_kind import StepKind

AnyKind = StepKind[Any, Any]


class Registry:
    """Maps kind and version to what performs, probes and compensates such a step."""

    def __init__(self, kinds: Iterable[AnyKind]) -> None:
        self._kinds: dict[tuple[str, int], AnyKind] = {}
        for kind in kinds:
            assert (kind.kind, kind.version) not in self._kinds, kind.kind
            self._kinds[kind.kind, kind.version] = kind

    def find(self, kind: str, version: int) -> AnyKind:
        """The implementation, or ``UnknownStep`` with the nearest known names."""
        found = self._kinds.get((kind, version))
        if found is not None:
            return found
        versions = sorted(v for k, v in self._kinds if k == kind)
        if versions:
            known = ", ".join(str(v) for v in versions)
            raise UnknownStep(
                f"step {kind} is known in version {known} and not in version {version}; "
                "the plan was made by another release of Holdfast"
            )
        near = difflib.get_close_matches(kind, sorted({k for k, _ in self._kinds}), n=3)
        hint = f"; nearest known: {', '.join(near)}" if near else ""
        raise UnknownStep(f"no step of kind {kind!r} (version {version}) is installed{hint}")

    def of(self, step: PlannedStep) -> AnyKind:
        """The implementation of a planned step, or ``UnknownStep``."""
        return self.find(step.kind, step.version)

    def inputs_of(self, kind: str, version: int) -> type[msgspec.Struct]:
        """The type of a kind's inputs, or ``UnknownStep``."""
        return self.find(kind, version).inputs

    def kinds(self) -> list[AnyKind]:
        """All kinds, ordered by name and version."""
        return [self._kinds[key] for key in sorted(self._kinds)]
