"""A plan for people: each step with its bytes, and a time estimate that says what it assumes."""

import msgspec

from holdfast.operations.step_registry import Registry
from holdfast.operations.workflow import Draft

BYTES_PER_S = 200 << 20
CALL_S = 0.02


class PlanLine(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what it does, what it moves through this host at most, and how long it may take."""

    number: int
    kind: str
    what: str
    undone: bool
    """Whether a later failure takes it back."""
    moved_bytes: int
    seconds: float


class PlanText(msgspec.Struct, frozen=True, kw_only=True):
    """A whole plan."""

    workflow: str
    steps: tuple[PlanLine, ...]
    moved_bytes: int
    seconds: float

    def lines(self) -> list[str]:
        """The plan as text."""
        head = (
            f"{self.workflow}: {len(self.steps)} steps, at most {human_bytes(self.moved_bytes)} "
            f"moved, about {self.seconds:.1f} s"
        )
        return [
            head,
            *(
                f"  {step.number:2d}  {step.what:<72} {human_bytes(step.moved_bytes):>10}"
                + ("  undone on failure" if step.undone else "")
                for step in self.steps
            ),
        ]


def plan_text(workflow: str, draft: Draft, registry: Registry) -> PlanText:
    """Describe a draft; assumes 200 MiB/s and 20 ms for each driver call."""
    steps: list[PlanLine] = []
    for number, planned in enumerate(draft.plan, 1):
        kind = registry.of(planned)
        cost = kind.estimate(planned.inputs)
        steps.append(
            PlanLine(
                number=number,
                kind=planned.kind,
                what=kind.describe(planned.inputs),
                undone=kind.undoes(planned.inputs),
                moved_bytes=cost.moved_bytes,
                seconds=cost.moved_bytes / BYTES_PER_S + cost.calls * CALL_S,
            )
        )
    return PlanText(
        workflow=workflow,
        steps=tuple(steps),
        moved_bytes=sum(step.moved_bytes for step in steps),
        seconds=sum(step.seconds for step in steps),
    )


def human_bytes(amount: int) -> str:
    """Bytes for people, with the binary unit that fits."""
    if amount < 1024:
        return f"{amount} B"
    value, unit = float(amount), "B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):  # noqa: B007 - the last one that fits is used
        value /= 1024
        if value < 1024:
            break
    return f"{value:.1f} {unit}"
