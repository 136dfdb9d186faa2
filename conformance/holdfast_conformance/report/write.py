"""Writing a report directory: the traces are there already, the rest follows from them.

The directory holds ``traces/*.jsonl`` and may hold ``repro/*.json``; ``report.json``,
``junit.xml`` and ``report.html`` are added.
"""

from collections.abc import Mapping
from pathlib import Path

from holdfast.contract.errors import UsageError
from holdfast_conformance.canary import PATTERN
from holdfast_conformance.report.compose import Account, Composed, compose
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPORT_NAME,
    Report,
    encode_report,
)
from holdfast_conformance.report.inputs import ReportInputs


def write_report(
    directory: Path, inputs: ReportInputs, account: Account, sha256: Mapping[str, str]
) -> Report:
    """Write the report of the traces that a run wrote to ``directory``, and return it.

    Arguments are those of ``compose``.

    Raises:
        UsageError: a trace is not there as it was written, a file is none that a report has, or a
            planted secret is in some file; no report is left then.
    """
    return write_composed(directory, compose(directory, inputs, account, sha256))


def write_composed(directory: Path, composed: Composed) -> Report:
    """Write a report and its renderings; errors as those of ``write_report``."""
    outputs = {
        JUNIT_NAME: composed.junit,
        HTML_NAME: composed.html,
        REPORT_NAME: encode_report(composed.report),
    }
    for name, data in outputs.items():
        (directory / name).write_bytes(data)
    leaks = files_with_canaries(directory)
    if leaks:
        for name in outputs:
            (directory / name).unlink()
        raise UsageError(
            f"a planted secret is in {', '.join(leaks)}: no report was written; "
            "this is a defect of the harness, for secrets are removed while recording"
        )
    return composed.report


def files_with_canaries(directory: Path) -> list[str]:
    """The files below ``directory`` in which a planted secret occurs, by relative path."""
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and PATTERN.search(path.read_bytes())
    )
