"""Running one workflow from the command line, or printing its plan (``--dry-run``)."""

import shlex
from collections.abc import Callable
from pathlib import Path

import msgspec
import typer

from holdfast.catalogue.port import Transaction
from holdfast.cli.open_zone import open_zone
from holdfast.concurrency.interruptions import run_program
from holdfast.operations.operation_outcome import Outcome
from holdfast.operations.plan_text import PlanText, plan_text
from holdfast.operations.workflow import Workflow
from holdfast.text.foreign import complain, tell, tell_json

MakeWorkflow = Callable[[Transaction], Workflow]
"""Makes the workflow once names can be looked up."""


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome for machines; ``subject`` is the id of the row it is about."""

    operation: str
    kind: str
    subject: str
    verdict: str
    error: str
    left: tuple[str, ...]


def run_workflow(catalogue: Path, make: MakeWorkflow, *, dry_run: bool, as_json: bool) -> None:
    """Run a workflow, or show its plan, and exit with 1 when it does not succeed."""
    if dry_run:
        plan = run_program(_plan(catalogue, make))
        if as_json:
            tell_json(plan)
        else:
            tell(*plan.lines())
        return
    try:
        outcome = run_program(_run(catalogue, make))
    except KeyboardInterrupt:
        complain(
            "interrupted; what is unfinished is in the journal. Finish it with: "
            f"holdfast recover --catalogue {shlex.quote(str(catalogue))}"
        )
        raise typer.Exit(130) from None
    if as_json:
        row = OutcomeRow(
            operation=outcome.operation,
            kind=outcome.kind,
            subject=outcome.subject,
            verdict=outcome.verdict.value,
            error=outcome.error,
            left=outcome.left,
        )
        tell_json(row)
        if outcome.error:
            raise typer.Exit(outcome.exit_code)
        return
    outcome.expect()
    tell(f"{outcome.subject}  {outcome.kind} succeeded ({outcome.operation})")


async def _run(catalogue: Path, make: MakeWorkflow) -> Outcome:
    async with open_zone(catalogue) as orchestrator:
        return await orchestrator.run(await orchestrator.catalogue.transact(make))


async def _plan(catalogue: Path, make: MakeWorkflow) -> PlanText:
    async with open_zone(catalogue) as orchestrator:
        workflow = await orchestrator.catalogue.transact(make)
        draft = await orchestrator.plan(workflow)
        return plan_text(workflow.kind, draft, orchestrator.engine.registry)
