"""What the writer of a report states, and a reader takes from it to compose it once more."""

from holdfast_conformance.report.document import Part, Report, RunFacts, Stated
from holdfast_conformance.verdict import Level


class ReportInputs(Part, frozen=True, kw_only=True):
    """What was asked for, and what the traces cannot say: names, versions, the machine, the clock.

    What comes from traces and replay files, ``run.ops`` and parts of ``stated``, may be left out.
    """

    run: RunFacts
    requested: Level
    stated: Stated


def inputs_of(report: Report) -> ReportInputs:
    """What the writer of a report must have stated."""
    return ReportInputs(run=report.run, requested=report.verdict.requested, stated=report.stated)
