"""Writing a report directory: the traces are there already, the rest follows from them.

The directory holds ``traces/*.jsonl`` and may hold ``repro/*.json``; ``report.json``,
``junit.xml`` and ``report.html`` are added.
"""

from pathlib import Path

from holdfast.errors import UsageError
from holdfast_conformance.canary import PATTERN
from holdfast_conformance.report.compose import ReportInputs, compose
from holdfast_conformance.report.document import (
    HTML_NAME,
    JUNIT_NAME,
    REPORT_NAME,
    Report,
    encode_report,
)


def write_report(directory: Path, inputs: ReportInputs) -> Report:
    """Write the report of the traces in ``directory`` and return it.

    The verdict in it is judged from the trace files as they are on disk.

    Raises:
        UsageError: a file is no trace or no replay file, or a planted secret is in some file; no
            report is left then.
    """
    composed = compose(directory, inputs)
    outputs = {
        JUNIT_NAME: composed.junit,
        HTML_NAME: composed.html,
        REPORT_NAME: encode_report(composed.report),
    }
    for name, data in outputs.items():
        (directory / name).write_bytes(data)
    told = files_with_canaries(directory)
    if told:
        for name in outputs:
            (directory / name).unlink()
        raise UsageError(
            f"a planted secret is in {', '.join(told)}: no report was written; "
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
