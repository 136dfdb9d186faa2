"""How much a plan may ask for: what the suite itself never exceeds, whoever wrote the plan.

A replay file, a trace and a report come from strangers, and a plan of a thousand million blocks
would eat this machine's memory in the driver's name. The generator keeps within these limits, too:
where a store declares sizes that no plan can try, what needs them stays unexercised.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from holdfast_conformance.image_limits import LARGE_MAX_BYTES
from holdfast_conformance.plan import (
    FetchExpired,
    MakeAddress,
    Plan,
    PutObject,
    ReadBlocks,
    ReadStale,
    SendPart,
    Step,
    WriteBlocks,
)

STEPS_MAX: Final = 500
HOSTS_MAX: Final = 16
BLOCKS_MAX: Final = 4096
"""No block at or beyond this number is written or read: 16 MiB."""
OBJECT_MAX_BYTES: Final = LARGE_MAX_BYTES + (1 << 20)
PAYLOAD_MAX_BYTES: Final = 1 << 30
"""What all objects and parts of a plan may hold together."""
TEXT_MAX: Final = 2048
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
    yield from _work_excesses(plan)


def excess_of_work(plan: Plan) -> str:
    """The same for a plan of our own, of which only the sizes can be too large."""
    return next(_work_excesses(plan), "")


def _work_excesses(plan: Plan) -> Iterator[str]:
    payload_bytes = 0
    for index, step in enumerate(plan.steps):
        yield from (f"step {index}: {excess}" for excess in _step_excesses(step))
        payload_bytes += step.size_bytes if isinstance(step, PutObject | SendPart) else 0
    if payload_bytes > PAYLOAD_MAX_BYTES:
        yield f"objects of {payload_bytes} bytes, and no plan has more than {PAYLOAD_MAX_BYTES}"
    yield from _waits(plan.steps)


def _step_excesses(step: Step) -> Iterator[str]:
    match step:
        case WriteBlocks() | ReadBlocks() | ReadStale():
            last = step.first + step.count
            if step.first < 0 or step.count < 1 or last > BLOCKS_MAX:
                yield (
                    f"blocks {step.first} to {last - 1}, and plans use 0 to {BLOCKS_MAX - 1}, one "
                    "at least"
                )
            if isinstance(step, WriteBlocks) and not 0 <= step.generation <= _GENERATION_MAX:
                yield f"generation {step.generation}, which does not fit into a stamp"
        case PutObject() | SendPart():
            if not 0 <= step.size_bytes <= OBJECT_MAX_BYTES:
                yield (f"{step.size_bytes} bytes at once, and plans store 0 to {OBJECT_MAX_BYTES}")
            if step.content < 0:
                yield f"content {step.content}, which is no number of any"
        case _:
            return


def _waits(steps: tuple[Step, ...]) -> Iterator[str]:
    """Addresses whose end is waited for, and would not come."""
    made = {step.address: step.expires_s for step in steps if isinstance(step, MakeAddress)}
    for step in steps:
        if isinstance(step, FetchExpired) and made.get(step.address, 0.0) > _WAITED_MAX_S:
            yield (
                f"a wait of {made[step.address]:g} s for the end of an address, and plans wait "
                f"for {_WAITED_MAX_S:g} s at most"
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
