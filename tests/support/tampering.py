"""What somebody might do to a report who knows its format, by class, drawn with a seed."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.requests import Role
from holdfast_conformance.report.document import (
    REPORT_NAME,
    Report,
    digest_of,
    encode_report,
    sha256_of,
)
from holdfast_conformance.report.inputs import inputs_of
from holdfast_conformance.stopping import Stop
from holdfast_conformance.trace import Loaded, Started
from holdfast_conformance.trace_lines import decode_record, encode_record
from holdfast_conformance.verdict import Level, Status
from written_reports import forge, report_in, rewrite, sealed

Capabilities = PrimaryCapabilities | ImageCapabilities


class Tampering:
    """One tampering of the report in ``directory``; ``others`` is one of another seed."""

    def __init__(self, directory: Path, others: Path, chance: random.Random) -> None:
        self.directory = directory
        self.others = others
        self.chance = chance

    def traces(self, role: str = "") -> list[Path]:
        """The traces of plans (of a role), in their order."""
        found = sorted((self.directory / "traces").glob(f"*-{role or '*'}.jsonl"))
        return [path for path in found if not path.stem.endswith("-load")]

    def role(self) -> str:
        return self.chance.choice(("primary", "image"))

    def repair(self, *, anew: bool = False) -> None:
        """Put right what follows from what was changed: nothing, hashes, or the whole report."""
        how = (
            "anew" if anew else self.chance.choice(("nothing", "hashes", "hashes", "anew", "anew"))
        )
        if how == "hashes":
            forge(self.directory, report_in(self.directory))
        elif how == "anew":
            rewrite(self.directory, inputs_of(report_in(self.directory)))

    def change_report(self, **changed: object) -> None:
        """Other facts in the report, with hashes, digest and pages put right."""
        forge(self.directory, msgspec.structs.replace(report_in(self.directory), **changed))

    def change_first_records(self, change: Callable[[Any], Any], *, loads: bool = True) -> None:
        """Another first record for every trace."""
        for path in (self.directory / "traces").iterdir():
            first, *others = path.read_bytes().splitlines(keepends=True)
            record = decode_record(first.rstrip(b"\n"))
            assert isinstance(record, Loaded | Started)
            if loads or isinstance(record, Started):
                path.write_bytes(b"".join((encode_record(change(record)), b"\n", *others)))


Kind = Callable[[Tampering], None]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all leaves of a JSON document."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # for pyright
        for index, inner in enumerate(items):
            yield from leaves(inner, (*path, index))
    else:
        yield path


def another(value: Any, chance: random.Random) -> Any:
    """Another value of the same JSON type."""
    match value:
        case bool():
            return not value
        case int():
            return value + chance.choice((-1, 1, 1000))
        case float():
            return value * 2 + 0.5
        case str():
            return value[:-1] if value and chance.random() < 0.5 else value + "x"
        case _:
            return "x"


def with_another_leaf(data: bytes, chance: random.Random) -> bytes:
    """A document, in the form that it had, in which one value is another."""
    document = json.loads(data)
    *way, last = chance.choice(list(leaves(document)))
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = another(inner[last], chance)
    return msgspec.json.encode(document)


def edit_document(one: Tampering) -> None:
    """A value in ``report.json`` is another."""
    document = one.directory / REPORT_NAME
    original = document.read_bytes()
    edited = msgspec.json.format(with_another_leaf(original, one.chance), indent=2) + b"\n"
    document.write_bytes(edited)
    try:
        report = report_in(one.directory)
    except (msgspec.MsgspecError, ValueError):
        return
    forge(one.directory, report)
    if document.read_bytes() == original:  # it was a hash that is put right
        document.write_bytes(edited)


def edit_trace(one: Tampering) -> None:
    """A value in a trace is another."""
    path = one.chance.choice(sorted((one.directory / "traces").iterdir()))
    lines = path.read_bytes().splitlines()
    row = one.chance.randrange(len(lines))
    lines[row] = with_another_leaf(lines[row], one.chance)
    path.write_bytes(b"\n".join(lines) + b"\n")
    try:
        one.repair()
    except Exception:  # noqa: BLE001 - what cannot be composed anew stays as it is
        forge(one.directory, report_in(one.directory))


def edit_replay(one: Tampering) -> None:
    """A replay file tells of something else; a report without any has its page edited."""
    files = sorted((one.directory / "repro").glob("*.json"))
    path = one.chance.choice(files) if files else one.directory / "junit.xml"
    data = path.read_bytes()
    if files:
        data = msgspec.json.format(with_another_leaf(data, one.chance), indent=2) + b"\n"
    else:
        data = data.replace(b"0", b"1", 1)
    path.write_bytes(data)
    if files and one.chance.random() < 0.7:
        try:
            sealed(one.directory, report_in(one.directory))
        except Exception:  # noqa: BLE001 - it is no replay file any more
            return


def flip(one: Tampering) -> None:
    """One byte of any file is another, and its hash is put right or not."""
    path = one.chance.choice(sorted(path for path in one.directory.rglob("*") if path.is_file()))
    data = bytearray(path.read_bytes())
    data[one.chance.randrange(len(data))] ^= 1 << one.chance.randrange(8)
    path.write_bytes(bytes(data))
    if path.name != REPORT_NAME and one.chance.random() < 0.5:
        rehash(one, path)


def rehash(one: Tampering, path: Path) -> None:
    """Put the hash of one file right, and the digest, and nothing else."""
    name = path.relative_to(one.directory).as_posix()
    report = report_in(one.directory)
    report = msgspec.structs.replace(
        report, files={**report.files, name: sha256_of(path.read_bytes())}
    )
    report = msgspec.structs.replace(report, digest=digest_of(report))
    (one.directory / REPORT_NAME).write_bytes(encode_report(report))


def cut(one: Tampering) -> None:
    """The end of a trace is gone."""
    path = one.chance.choice(one.traces())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: one.chance.randrange(1, len(lines))]))
    one.repair()


def drop_last(one: Tampering) -> None:
    """The last plans of a role are gone."""
    for path in one.traces(one.role())[-one.chance.choice((1, 2, 10)) :]:
        path.unlink()
    one.repair(anew=True)


def drop_some(one: Tampering) -> None:
    """Some plans are gone, such as those in which something fails."""
    paths = one.traces()
    for path in one.chance.sample(paths, one.chance.choice((1, 3, len(paths) // 2))):
        path.unlink()
    one.repair(anew=True)


def drop_failures(one: Tampering) -> None:
    """All plans that did not come to their end are gone, or in a good report those of one role."""
    failed = [path for path in one.traces() if b'"type":"ended"' not in path.read_bytes()]
    for path in failed or one.traces(one.role()):
        path.unlink()
    one.repair(anew=True)


def drop_role(one: Tampering) -> None:
    """A role is gone with all its traces, and no other trace tells of it, or does."""
    role = one.role()
    for path in (one.directory / "traces").glob(f"*-{role}*.jsonl"):
        path.unlink()
    if one.chance.random() < 0.5:
        one.change_first_records(_without_role(role))
    one.repair(anew=True)


def _without_role(role: str) -> Callable[[Any], Any]:
    def change(record: Any) -> Any:
        if isinstance(record, Started):
            return record
        return msgspec.structs.replace(record, roles=tuple(r for r in record.roles if r != role))

    return change


def double(one: Tampering) -> None:
    """A plan is told twice, and another not at all."""
    first, second = one.chance.sample(one.traces(one.role()), 2)
    second.write_bytes(first.read_bytes())
    one.repair(anew=True)


def exchange(one: Tampering) -> None:
    """A plan, or all of a role, is that of a run with another seed."""
    role = one.role()
    alone = one.chance.random() < 0.5
    paths = [one.chance.choice(one.traces(role))] if alone else one.traces(role)
    theirs = sorted((one.others / "traces").glob(f"*-{role}.jsonl"))
    for path, other in zip(paths, theirs, strict=False):
        path.write_bytes(other.read_bytes())
    one.repair(anew=True)


def swap(one: Tampering) -> None:
    """Two plans have changed places."""
    first, second = one.chance.sample(one.traces(one.role()), 2)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    one.repair(anew=True)


def reorder(one: Tampering) -> None:
    """Two records of a trace have changed places, or one is told twice."""
    path = one.chance.choice(one.traces())
    lines = path.read_bytes().splitlines(keepends=True)
    at = one.chance.randrange(len(lines) - 1)
    lines[at : at + 2] = one.chance.choice(
        ((lines[at + 1], lines[at]), (lines[at], lines[at], lines[at + 1]))
    )
    path.write_bytes(b"".join(lines))
    try:
        one.repair()
    except Exception:  # noqa: BLE001 - what cannot be composed anew stays as it is
        forge(one.directory, report_in(one.directory))


def rename(one: Tampering) -> None:
    """A file has another name."""
    path = one.chance.choice(one.traces())
    path.rename(path.with_name(f"{one.chance.randrange(900_000, 999_999)}{path.name[6:]}"))
    if one.chance.random() < 0.5:
        forge(one.directory, report_in(one.directory))


def better_verdict(one: Tampering) -> None:
    """A level, or the status of properties, is better than what the traces give."""
    verdict = report_in(one.directory).verdict
    if one.chance.random() < 0.5:
        level = Level.L1 if verdict.level is not Level.L1 else Level.L2
        changed = msgspec.structs.replace(verdict, level=level, ok=True, requested=level)
    else:
        worse = [r for r in verdict.results if r.status is not Status.PASS]
        chosen = one.chance.choice(worse)
        passed = msgspec.structs.replace(chosen, status=Status.PASS, reason="", findings=())
        results = tuple(passed if r is chosen else r for r in verdict.results)
        changed = msgspec.structs.replace(verdict, results=results)
    one.change_report(verdict=changed)


def less_asked(one: Tampering) -> None:
    """Another level was asked for, another profile or another seed run."""
    inputs = inputs_of(report_in(one.directory))
    level = one.chance.choice((Level.L0, Level.L0, Level.L2, Level.L1))
    run = inputs.run
    if level is Level.L1:
        run = msgspec.structs.replace(
            run, **one.chance.choice(({"seed": run.seed + 1}, {"profile": "smoke"}))
        )
    rewrite(one.directory, msgspec.structs.replace(inputs, requested=level, run=run))


def weaken(one: Tampering) -> None:
    """The driver declares less than it did, everywhere."""

    def change(capabilities: Any) -> Any:
        optional = [
            field.name
            for field in msgspec.structs.fields(capabilities)
            if field.default is None and getattr(capabilities, field.name) is not None
        ]
        if not optional:
            return capabilities
        return msgspec.structs.replace(capabilities, **{min(optional): None})

    def changed(record: Any) -> Any:
        if isinstance(record, Started):
            return msgspec.structs.replace(record, capabilities=change(record.capabilities))
        kind: Any = PrimaryCapabilities if record.role is Role.PRIMARY else ImageCapabilities
        documents = tuple(
            msgspec.json.encode(
                change(msgspec.json.decode(document, type=kind)), order="sorted"
            ).decode()
            for document in record.documents
        )
        return msgspec.structs.replace(record, documents=documents)

    one.change_first_records(changed, loads=one.chance.random() < 0.7)
    one.repair(anew=True)


def hide_faults(one: Tampering) -> None:
    """The testbed has no faults, and there are no plans that need them."""
    for path in one.traces():
        if b'"verb":"inject_fault"' in path.read_bytes().splitlines()[0]:
            path.unlink()
    one.change_first_records(
        lambda record: msgspec.structs.replace(record, faults=()), loads=one.chance.random() < 0.7
    )
    one.repair(anew=True)


def claim_a_stop(one: Tampering) -> None:
    """A role is said to have been stopped, with plans left out or not."""
    role = one.role()
    if one.chance.random() < 0.5:
        one.traces(role)[-1].unlink()
    inputs = inputs_of(report_in(one.directory))
    stopped = {**inputs.run.stopped, Role(role): Stop.KNOWN_WRONG}
    run = msgspec.structs.replace(inputs.run, stopped=stopped)
    rewrite(one.directory, msgspec.structs.replace(inputs, run=run))


def state_another(one: Tampering) -> None:
    """What is stated is another."""
    stated: Report = report_in(one.directory)
    document = json.loads(msgspec.json.encode(stated.stated))
    *way, last = one.chance.choice(list(leaves(document)))
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = another(inner[last], one.chance)
    try:
        changed = msgspec.convert(document, type(stated.stated))
    except msgspec.ValidationError:
        changed = msgspec.structs.replace(stated.stated, errors={})
    one.change_report(stated=changed)


KINDS: tuple[Kind, ...] = (
    edit_document,
    edit_trace,
    edit_replay,
    flip,
    cut,
    drop_last,
    drop_some,
    drop_failures,
    drop_role,
    double,
    exchange,
    swap,
    reorder,
    rename,
    better_verdict,
    less_asked,
    weaken,
    hide_faults,
    claim_a_stop,
    state_another,
)
