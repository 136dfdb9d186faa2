"""How much a plan may ask for: what the suite itself never exceeds, whoever wrote the plan.

A replay file, a trace and a report come from strangers, and a plan of a thousand million blocks
would eat this machine's memory in the driver's name. The generator keeps within these limits, too:
where a store declares sizes that no plan can try, what needs them stays unexercised.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from holdfast.contract.requests import Request
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.address_steps import FetchExpired, MakeAddress
from holdfast_conformance.byte_steps import (
    RANGES_MAX,
    DiscardBytes,
    ReadBytes,
    WriteBytes,
    WriteRanges,
)
from holdfast_conformance.image_limits import LARGEST_MAX_BYTES
from holdfast_conformance.plan import (
    CreateFromData,
    FinishUpload,
    HealFault,
    InjectFault,
    Plan,
    PutObject,
    ReadBlocks,
    ReadStale,
    Reopen,
    SendPart,
    Step,
    Together,
    UseDriver,
    UseStore,
    WriteBlocks,
    subject_of,
    subjects_of,
)
from holdfast_conformance.roles_of_steps import strange_steps

_STAMPED: Final = (WriteBlocks, WriteBytes, WriteRanges)
STEPS_MAX: Final = 500
HOSTS_MAX: Final = 16
WRITTEN_MAX_BYTES: Final = 16 << 20
"""What a plan writes into volumes altogether, and the most that one step reads."""
READ_MAX_BYTES: Final = 256 << 20
"""What its own steps read of volumes altogether."""
OFFSET_MAX_BYTES: Final = 1 << 62
OBJECT_MAX_BYTES: Final = LARGEST_MAX_BYTES + (1 << 20)
PAYLOAD_MAX_BYTES: Final = 1 << 30
"""What all objects and parts of a plan may hold together."""
TEXT_MAX: Final = 2048
TOGETHER_MAX: Final = 3
"""How many calls are made at once."""
STAGGER_MAX: Final = 8
"""How many turns of the event loop a call at once begins after the one before it."""
TOGETHER_BLOCKS_MAX: Final = 3
"""How many blocks are written by calls that are made at once: each may come before or after."""
TOGETHER_RANGE_MAX_BYTES: Final = 512
"""How much of a range is written at once with other calls: it is there whole, or not at all."""
DRIVERS_MAX: Final = 2
"""How many drivers a plan opens on its store."""
STORES_MAX: Final = 2
"""How many stores a plan works in."""
_ID_MAX: Final = 256
_ITEMS_MAX: Final = 10_000
_NUMBER_MAX: Final = 1 << 64
_GENERATION_MAX: Final = 1 << 40
_WAITED_MAX_S: Final = 60.0


def excess_of(plan: Plan) -> str:
    """What in a plan is beyond the suite's own limits, or an empty string."""
    return next(_excesses(plan), "")


def _excesses(plan: Plan) -> Iterator[str]:
    if len(plan.steps) > STEPS_MAX:
        yield f"{len(plan.steps)} steps, and no plan has more than {STEPS_MAX}"
        return
    if len(plan.hosts) > HOSTS_MAX:
        yield f"{len(plan.hosts)} hosts, and no plan has more than {HOSTS_MAX}"
        return
    if len(plan.id) > _ID_MAX:
        yield f"an id of {len(plan.id)} characters, and none has more than {_ID_MAX}"
        return
    for where, value in _leaves(msgspec.to_builtins(plan), ""):
        yield from _value_excess(where, value)
    yield from (f"step {index}: {excess}" for index, excess in strange_steps(plan))
    yield from _work_excesses(plan)


def excess_of_work(plan: Plan) -> str:
    """The same for a plan of our own, of which only the sizes can be too large."""
    return next(_work_excesses(plan), "")


def _work_excesses(plan: Plan) -> Iterator[str]:
    payload_bytes = written_bytes = read_bytes = 0
    for index, step in enumerate(plan.steps):
        yield from (f"step {index}: {excess}" for excess in _step_excesses(subject_of(step)))
        for call in subjects_of(step):
            payload_bytes += _payload_bytes(call)
            written_bytes += _written_bytes(call)
            read_bytes += _read_bytes(call)
    if written_bytes > WRITTEN_MAX_BYTES:
        yield f"{written_bytes} bytes written, and no plan writes more than {WRITTEN_MAX_BYTES}"
    if payload_bytes > PAYLOAD_MAX_BYTES:
        yield f"objects of {payload_bytes} bytes, and no plan has more than {PAYLOAD_MAX_BYTES}"
    if read_bytes > READ_MAX_BYTES:
        yield f"{read_bytes} bytes read, and no plan reads more than {READ_MAX_BYTES} of volumes"
    yield from _waits(plan.steps)
    yield from _shaken_neighbours(plan.steps)
    if any(isinstance(step, Reopen) and step.identity for step in plan.steps) and any(
        isinstance(step, Together) and step.apart for step in plan.steps
    ):
        yield "calls at once through two drivers, of which one was opened for one store alone"


def _payload_bytes(call: Request) -> int:
    """What is expanded for a call: what it stores, and what it names of what was stored before."""
    if isinstance(call, FinishUpload):
        return sum(part.size_bytes for part in call.older)
    return call.size_bytes if isinstance(call, PutObject | SendPart) else 0


def _step_excesses(step: Request) -> Iterator[str]:
    if isinstance(step, _STAMPED) and not 0 <= step.generation <= _GENERATION_MAX:
        yield f"generation {step.generation}, which does not fit into a stamp"
    match step:
        case PutObject() | SendPart():
            if not 0 <= step.size_bytes <= OBJECT_MAX_BYTES:
                yield (f"{step.size_bytes} bytes at once, and plans store 0 to {OBJECT_MAX_BYTES}")
            if step.content < 0:
                yield f"content {step.content}, which is no number of any"
        case FinishUpload():
            if any(not 0 <= part.size_bytes <= OBJECT_MAX_BYTES for part in step.older):
                yield f"an older part beyond the {OBJECT_MAX_BYTES} bytes that plans store"
            if any(part.content < 0 for part in step.older):
                yield "a content that is no number of any"
        case UseDriver() | UseStore():
            yield from _number_excess(step)
        case Together():
            yield from _together_excesses(step)
        case _:
            yield from _places_excesses(step)


def _number_excess(step: UseDriver | UseStore) -> Iterator[str]:
    if isinstance(step, UseDriver) and not 0 <= step.number < DRIVERS_MAX:
        yield f"driver {step.number}, and plans open {DRIVERS_MAX}"
    if isinstance(step, UseStore) and not 0 <= step.number < STORES_MAX:
        yield f"store {step.number}, and plans work in {STORES_MAX}"


def _places_excesses(step: Request) -> Iterator[str]:
    match step:
        case WriteBlocks() | ReadBlocks() | ReadStale():
            if step.count < 1:
                yield f"{step.count} blocks, and one at least is written or read"
            yield from _range_excess(step.first * BLOCK_BYTES, step.count * BLOCK_BYTES)
        case WriteRanges():
            if not 1 <= len(step.ranges) <= RANGES_MAX:
                yield f"{len(step.ranges)} ranges at once, and plans write 1 to {RANGES_MAX}"
            for offset, length in step.ranges[:RANGES_MAX]:
                yield from _range_excess(offset, length)
        case WriteBytes() | ReadBytes():
            yield from _range_excess(step.offset_bytes, step.length_bytes)
        case CreateFromData() if not 0 <= step.length_bytes <= OFFSET_MAX_BYTES:
            yield f"{step.length_bytes} bytes of data, which is no part of any"
        case DiscardBytes():
            if step.length_bytes > OFFSET_MAX_BYTES:
                yield f"{step.length_bytes} bytes, which no volume has"
            yield from _range_excess(step.offset_bytes, min(step.length_bytes, 0))
        case _:
            return


def _range_excess(offset_bytes: int, length_bytes: int) -> Iterator[str]:
    if offset_bytes < 0 or offset_bytes > OFFSET_MAX_BYTES or length_bytes < 0:
        yield f"{length_bytes} bytes at {offset_bytes}, which is no place in a volume"
    if length_bytes > WRITTEN_MAX_BYTES:
        yield f"{length_bytes} bytes at once, and plans move {WRITTEN_MAX_BYTES} at most"


def _written_bytes(step: Request) -> int:
    match step:
        case WriteBlocks():
            return step.count * BLOCK_BYTES
        case WriteBytes():
            return step.length_bytes
        case WriteRanges():
            return sum(length for _, length in step.ranges)
        case _:
            return 0


def _read_bytes(step: Request) -> int:
    match step:
        case ReadBlocks() | ReadStale():
            return step.count * BLOCK_BYTES
        case ReadBytes():
            return step.length_bytes
        case _:
            return 0


def _together_excesses(step: Together) -> Iterator[str]:
    if not 2 <= len(step.steps) <= TOGETHER_MAX:
        yield f"{len(step.steps)} calls at once, and plans make 2 to {TOGETHER_MAX}"
    if not 0 <= step.stagger <= STAGGER_MAX:
        yield f"a stagger of {step.stagger} turns, and plans have 0 to {STAGGER_MAX}"
    blocks = sum(call.count for call in step.steps if isinstance(call, WriteBlocks))
    ranges = [call for call in step.steps if isinstance(call, WriteBytes)]
    if any(call.length_bytes > TOGETHER_RANGE_MAX_BYTES for call in ranges):
        yield f"more than {TOGETHER_RANGE_MAX_BYTES} bytes of a range written at once with others"
    if blocks > TOGETHER_BLOCKS_MAX:
        yield f"{blocks} blocks written at once, and plans write {TOGETHER_BLOCKS_MAX} at most"
    parts = [(call.upload, call.number) for call in step.steps if isinstance(call, SendPart)]
    ended = {call.upload for call in step.steps if isinstance(call, FinishUpload)}
    if len(set(parts)) < len(parts) or any(upload in ended for upload, _ in parts):
        yield "a part that is sent at once with itself or with the end of its upload"
    for call in step.steps:
        yield from _step_excesses(call)


def _shaken_neighbours(steps: tuple[Step, ...]) -> Iterator[str]:
    """Going to another store under a fault, which is of the testbed and so of all its stores."""
    faulty = False
    for step in steps:
        if isinstance(step, InjectFault | HealFault):
            faulty = isinstance(step, InjectFault)
        elif isinstance(step, UseStore) and faulty:
            yield "a step to another store under a fault, and plans make none"
            return


def _waits(steps: tuple[Step, ...]) -> Iterator[str]:
    """Addresses whose end is waited for, and would not come, however often they are made."""
    made: dict[str, float] = {}
    waited_s = 0.0
    for step in steps:
        if isinstance(step, MakeAddress):
            made[step.address] = step.expires_s
        elif isinstance(step, FetchExpired):
            waited_s += made.get(step.address, 0.0)
    if not waited_s <= _WAITED_MAX_S:
        yield (
            f"waits of {waited_s:g} s for the ends of addresses, and plans wait for "
            f"{_WAITED_MAX_S:g} s at most"
        )


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every value that is no list and no map, and the length of every list."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(inner, key)
    elif isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        if len(items) > _ITEMS_MAX:
            yield where, items
            return
        for inner in items:
            yield from _leaves(inner, where)
    else:
        yield where, value


def _value_excess(where: str, value: Any) -> Iterator[str]:
    match value:
        case bool():
            return
        case int() if abs(value) >= _NUMBER_MAX:
            yield f"{where} is a number of more than 64 bits"
        case float() if not math.isfinite(value):
            yield f"{where} is no finite number"
        case str() if len(value) > TEXT_MAX and where != "data":
            yield f"{where} has {len(value)} characters, and none has more than {TEXT_MAX}"
        case list():
            items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # for pyright
            yield f"{where} has {len(items)} entries, and none has more than {_ITEMS_MAX}"
        case _:
            return
