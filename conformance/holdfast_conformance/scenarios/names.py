"""Stories about keys that look like something else, and about keys that are none."""

from collections.abc import Iterator, Sequence

from holdfast.requests import (
    KEY_MAX_BYTES,
    CreateSnapshot,
    CreateVolume,
    DeleteVolume,
    EnumerateOwned,
    GetVolume,
    Grant,
    Open,
)
from holdfast_conformance.plan import Step, WalkVolumes
from holdfast_conformance.scenarios.script import Script

TWINS = (
    ("\u00e9", "e\u0301"),
    ("CON", "con"),
    ("x" * KEY_MAX_BYTES, "x" * (KEY_MAX_BYTES - 1)),
)
"""Keys that become one where a backend normalizes, folds or cuts them."""

PATHS = ("../outside", "..", "a/../../b")
"""Keys that lead out of the store where a backend takes them for paths."""

_OTHERS = 4
HOSTILE_NAMES = (
    *(name for pair in TWINS for name in pair),
    *PATHS,
    ".",
    "/etc/holdfast",
    "a/b",
    "%2e%2e%2foutside",
    "name with spaces ",
    "line\nbreak",
    "; touch outside",
    "$(touch outside)",
    "-rf",
    "--help",
    "*?[a]",
    "quote'\"`\\",
    "volume.raw",
    "volume.tmp",
    ".hidden",
    "\u65e5\u672c\u8a9e\U0001f4be",
    "\u00e9" * (KEY_MAX_BYTES // 2),
)
"""Keys that the contract allows and that a careless backend mixes up, loses or obeys."""

BAD_NAMES = ("", "y" * (KEY_MAX_BYTES + 1), "\u00e9" * (KEY_MAX_BYTES // 2) + "z")
"""Keys that the contract does not allow."""


def hostile_names(script: Script) -> Iterator[Step]:
    """Names that look like paths, options or patterns are names and nothing else."""
    twins = {name for pair in TWINS for name in pair}
    others = [name for name in HOSTILE_NAMES if name not in twins.union(PATHS)]
    chosen = (*script.choices.shuffled(PATHS), *script.choices.shuffled(others)[:_OTHERS])
    yield from _kept_apart(script, chosen)


def twin_names(script: Script) -> Iterator[Step]:
    """Names that look like each other are different names."""
    pairs = script.choices.shuffled(TWINS)
    yield from _kept_apart(script, tuple(name for pair in pairs for name in pair))


def _kept_apart(script: Script, chosen: Sequence[str]) -> Iterator[Step]:
    names = chosen[: script.declared.volume.volumes_max or len(chosen)]
    for index, name in enumerate(names):
        yield CreateVolume(key=name, size_bytes=script.size(1 + index % 3))
        yield GetVolume(key=name)
    yield WalkVolumes(limit=3)
    yield DeleteVolume(key=names[0])
    yield DeleteVolume(key="../" + names[0][: KEY_MAX_BYTES // 4])
    yield GetVolume(key=names[-1])
    yield EnumerateOwned()


def hostile_data(script: Script) -> Iterator[Step]:
    """A volume and a snapshot of a hostile name hold their data."""
    names = [name for name in HOSTILE_NAMES if "|" not in name]
    name = script.choices.pick(names)
    yield script.create(name)
    yield script.grant(name)
    yield script.write(name)
    if script.snapshots:
        yield CreateSnapshot(key=script.choices.pick(names), volume=name)
    yield script.read(name)


def bad_names(script: Script) -> Iterator[Step]:
    """Keys that nothing can have are refused by every verb."""
    for name in script.choices.shuffled(BAD_NAMES):
        yield CreateVolume(key=name, size_bytes=script.size(1))
        yield GetVolume(key=name)
        yield DeleteVolume(key=name)
        yield Grant(volume=name, host=script.host, mode=script.mode)
        yield Open(volume=name, host=script.host)
        if script.snapshots:
            yield CreateSnapshot(key=name, volume="any")


STORIES = (hostile_names, twin_names, hostile_data, bad_names)
