"""The replay files of a report: one for each property that failed, and no other."""

from collections.abc import Iterator, Mapping

import msgspec

from holdfast.contract.errors import UsageError
from holdfast_conformance.replay_file import Repro, decode_repro, encode_repro, replay_command
from holdfast_conformance.report.document import REPRO_NAME, Failure, sha256_of
from holdfast_conformance.report.folder import ReportFolder
from holdfast_conformance.report.wording import describe_step
from holdfast_conformance.verdict import Verdict


class Replays(msgspec.Struct, frozen=True, kw_only=True):
    """The failures that a report tells of, the digests of their files, and those files."""

    failures: tuple[Failure, ...]
    sha256: dict[str, str]
    repros: tuple[Repro, ...]


def read_replays(folder: ReportFolder, verdict: Verdict, reference: str) -> Replays:
    """The replay files in a report's folder; errors are those of ``replays_in``."""
    files = {name: folder.read(name) for name in folder.below(REPRO_NAME)}
    return replays_in(files, verdict, reference)


def replays_in(files: Mapping[str, bytes], verdict: Verdict, reference: str) -> Replays:
    """The replay files among those of a report, in words.

    Raises:
        UsageError: a file in ``repro/`` is no replay file as the suite writes it, or is none of a
            property that failed, or one is missing.
    """
    names = tuple(name for name in files if name.startswith(f"{REPRO_NAME}/"))
    for problem in _wrong_names(names, verdict):
        raise UsageError(problem)
    failures: list[Failure] = []
    repros: list[Repro] = []
    digests: dict[str, str] = {}
    for name in names:
        data = files[name]
        repro = decode_repro(data, name)
        if encode_repro(repro) != data:
            raise UsageError(f"{name} is no replay file as the suite writes it")
        if name != name_of(repro.property):
            raise UsageError(f"{name} is of {repro.property}, and not of what it is named after")
        repros.append(repro)
        digests[name] = sha256_of(data)
        failures.append(
            Failure(
                property=repro.property,
                steps=tuple(describe_step(step) for step in repro.plan.steps) if repro.plan else (),
                confirmed=repro.confirmed,
                replay=replay_command(name, reference, repro.testbed),
                file=name,
            )
        )
    return Replays(failures=tuple(failures), sha256=digests, repros=tuple(repros))


def name_of(identifier: str) -> str:
    """The name of the replay file of a property."""
    return f"{REPRO_NAME}/{identifier}.json"


def _wrong_names(names: tuple[str, ...], verdict: Verdict) -> Iterator[str]:
    right = {name_of(result.id) for result in verdict.results if result.findings}
    for name in names:
        if name not in right:
            yield f"{name} is of no property that failed"
    for name in sorted(right.difference(names)):
        yield f"{name} is missing, and its property failed"
