"""Writing plans for primary stores: names, sizes and blocks that differ from plan to plan."""

from collections.abc import Iterator
from math import lcm

from holdfast.capabilities import AccessMode, PrimaryCapabilities
from holdfast.data import BLOCK_BYTES
from holdfast.requests import CreateSnapshot, CreateVolume, Grant, Revoke
from holdfast_conformance.plan import ReadBlocks, Step, WriteBlocks
from holdfast_conformance.scenarios.choices import Choices

ALL_HOSTS = ("host-a", "host-b", "host-c")
STRANGER = "host-unknown"
BLOCKS_MAX = 64
"""Writes and reads stay below this block, so that no plan moves much."""

_STEMS = ("vol", "disk", "Data", "root", "db", "x", "vm-7", "A", "swap", "log.0")
_SIZE_STEPS = 4


class Script:
    """Makes the steps of one plan; every new name, size and block is decided by ``choices``.

    Args:
        declared: what the store declares.
        choices: the decisions of this plan.
    """

    def __init__(self, declared: PrimaryCapabilities, choices: Choices) -> None:
        self.declared = declared
        self.choices = choices
        self._names = 0
        limits = declared.volume
        self.granularity = limits.size_granularity_bytes
        self.unit = lcm(self.granularity, BLOCK_BYTES)
        """A size that is a multiple of this has whole blocks only."""
        self._smallest = -(-max(1, limits.size_min_bytes) // self.unit) * self.unit
        self._generation = 0
        self.sizes: dict[str, int] = {}

    # What the store can do

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that a ready plan attaches."""
        return ALL_HOSTS[: 1 if self.declared.access.hosts_max == 1 else 2]

    @property
    def host(self) -> str:
        """The first host."""
        return self.hosts[0]

    @property
    def several_hosts(self) -> bool:
        """Whether two hosts can be attached."""
        return len(self.hosts) > 1

    @property
    def third_host(self) -> str | None:
        """A host that can be attached beside those of a ready plan."""
        limit = self.declared.access.hosts_max
        return None if limit is not None and limit < len(ALL_HOSTS) else ALL_HOSTS[-1]

    def has(self, mode: AccessMode) -> bool:
        """Whether the store declares this access mode."""
        return mode in self.declared.access.modes

    @property
    def mode(self) -> AccessMode:
        """A declared mode that allows writing, as far as there is one."""
        modes = self.declared.access.modes
        writing = [mode for mode in modes if mode is not AccessMode.READ_ONLY]
        return self.choices.pick(writing or modes)

    @property
    def snapshots(self) -> bool:
        """Whether the store declares snapshots."""
        return self.declared.snapshot is not None

    @property
    def reverts(self) -> bool:
        """Whether the store declares reverting."""
        return self.declared.snapshot is not None and self.declared.snapshot.revert

    @property
    def clones(self) -> bool:
        """Whether the store declares volumes from snapshots."""
        clone = self.declared.clone
        return self.snapshots and clone is not None and clone.from_snapshot

    @property
    def clones_volumes(self) -> bool:
        """Whether the store declares volumes from volumes."""
        return self.declared.clone is not None and self.declared.clone.from_volume

    @property
    def resizes(self) -> bool:
        """Whether the store declares resizing, and two sizes exist."""
        return self.declared.resize is not None and self.size(2) > self.size(1)

    @property
    def shrinks(self) -> bool:
        """Whether the store declares shrinking."""
        return self.resizes and self.declared.resize is not None and self.declared.resize.shrink

    @property
    def resizes_granted(self) -> bool:
        """Whether a granted volume can be resized."""
        return self.declared.resize is not None and self.declared.resize.online

    # Names, sizes, blocks

    def name(self) -> str:
        """A plain key that no other call gave."""
        self._names += 1
        return f"{self.choices.pick(_STEMS)}-{self.choices.below(90) + 10}{self._names}"

    def size(self, steps: int) -> int:
        """The ``steps``-th of the small sizes, in whole blocks, as far as the limits allow."""
        limit = self.declared.volume.size_max_bytes
        return max(self._smallest, min(steps * self._smallest, limit // self.unit * self.unit))

    def small_size(self) -> int:
        """One of the small sizes that can still grow."""
        return self.size(1 + self.choices.below(_SIZE_STEPS))

    def generation(self) -> int:
        """A generation that no other write has."""
        self._generation += 1
        return self._generation

    def span(self, size_bytes: int) -> tuple[int, int]:
        """Some first block and count inside a volume of this size."""
        blocks = min(size_bytes // BLOCK_BYTES, BLOCKS_MAX)
        first = self.choices.below(blocks)
        return first, 1 + self.choices.below(min(4, blocks - first))

    # Steps

    def create(self, key: str | None = None, size_bytes: int | None = None) -> CreateVolume:
        """A new volume of a small size."""
        size = self.small_size() if size_bytes is None else size_bytes
        made = CreateVolume(key=key or self.name(), size_bytes=size)
        self.sizes[made.key] = size
        return made

    def grant(self, volume: str, host: str = "", mode: AccessMode | None = None) -> Grant:
        """A grant to the first host, or to ``host``."""
        return Grant(volume=volume, host=host or self.host, mode=mode or self.mode)

    def revoke(self, volume: str, host: str = "") -> Revoke:
        """The end of a grant."""
        return Revoke(volume=volume, host=host or self.host)

    def write(self, volume: str, host: str = "", at: tuple[int, int] | None = None) -> WriteBlocks:
        """A write somewhere inside, or of the blocks ``at``."""
        first, count = at or self.span(self.sizes[volume])
        return WriteBlocks(
            volume=volume,
            host=host or self.host,
            first=first,
            count=count,
            generation=self.generation(),
        )

    def read(self, volume: str, host: str = "") -> ReadBlocks:
        """A read of the whole volume, as far as plans reach."""
        count = min(self.sizes[volume] // BLOCK_BYTES, BLOCKS_MAX)
        return ReadBlocks(volume=volume, host=host or self.host, first=0, count=count)

    def snapshot(self, volume: str, key: str | None = None) -> CreateSnapshot:
        """A new snapshot."""
        return CreateSnapshot(key=key or self.name(), volume=volume)

    def written(self, key: str | None = None, size_bytes: int | None = None) -> Iterator[Step]:
        """A new volume, granted to the first host, with data in it; it stays granted."""
        made = self.create(key, size_bytes)
        yield made
        yield self.grant(made.key)
        yield self.write(made.key)

    def rest(self, key: str | None = None, size_bytes: int | None = None) -> Iterator[Step]:
        """A new volume with data in it and no grant."""
        made = self.create(key, size_bytes)
        yield made
        yield self.grant(made.key)
        yield self.write(made.key)
        yield self.revoke(made.key)
