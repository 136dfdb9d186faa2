"""Writing plans for primary stores: names, sizes and blocks that differ from plan to plan."""

from collections.abc import Iterator, Sequence
from math import lcm

from holdfast.contract.capabilities import AccessMode, PrimaryCapabilities
from holdfast.contract.requests import CreateSnapshot, CreateVolume, Grant, Revoke
from holdfast.data import BLOCK_BYTES
from holdfast_conformance.byte_steps import DiscardBytes, ReadBytes, WriteBytes, WriteRanges
from holdfast_conformance.plan import ReadBlocks, Step, WriteBlocks
from holdfast_conformance.primary_limits import can_write, holds_two, true_sizes
from holdfast_conformance.scenarios import ranges
from holdfast_conformance.scenarios.choices import Choices
from holdfast_conformance.stamps import ZEROES

ALL_HOSTS = ("host-a", "host-b", "host-c")
STRANGER = "host-unknown"
BLOCKS_MAX = 64
"""Writes and reads stay below this block, so that no plan moves much."""

_STEMS = ("vol", "disk", "Data", "root", "db", "x", "vm-7", "A", "swap", "log.0")
_SIZE_STEPS = 4
_ROOMY_BLOCKS = 10
_FEW_SIZES = 8


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
        self._generation = self._layers = 0
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
    def writes(self) -> bool:
        """Whether a host can be granted a volume to write to."""
        return can_write(self.declared)

    @property
    def holds_two(self) -> bool:
        """Whether two volumes can be there at once."""
        return holds_two(self.declared)

    @property
    def copies(self) -> bool:
        """Whether the store copies volumes by itself, and has room for the copy."""
        return self.declared.copy is not None and self.holds_two

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
    def clones_data(self) -> bool:
        """Whether the store declares volumes from data."""
        return self.declared.clone is not None and self.declared.clone.from_data

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
        smallest, largest = true_sizes(self.declared)
        whole = largest // self.unit * self.unit
        if whole >= 2 * self._smallest:
            return min(steps * self._smallest, whole)
        # There are too few sizes in whole blocks: take what lies between.
        first = self._smallest if self._smallest <= largest else smallest
        apart = max(1, (largest - first) // _FEW_SIZES // self.granularity) * self.granularity
        return min(first + (steps - 1) * apart, largest)

    def small_size(self) -> int:
        """One of the small sizes that can still grow."""
        return self.size(1 + self.choices.below(_SIZE_STEPS))

    @property
    def size_max_bytes(self) -> int:
        """The largest size there is."""
        limit = self.declared.volume.size_max_bytes
        return limit // self.granularity * self.granularity

    def odd_size(self, least_bytes: int = 0) -> int:
        """A size that is no multiple of anything but the granularity."""
        steps = 1 + self.choices.below(61)
        size = max(least_bytes, self.size(1 + self.choices.below(3))) + steps * self.granularity
        return min(-(-size // self.granularity) * self.granularity, self.size_max_bytes)

    def far_size(self) -> int:
        """A large size, most of them past 4 GiB, as far as the limits allow."""
        return max(
            self.size(1),
            ranges.far_size(
                self.choices,
                granularity_bytes=self.granularity,
                size_max_bytes=self.size_max_bytes,
            ),
        )

    def generation(self) -> int:
        """A generation that no other write has."""
        self._generation += 1
        return self._generation

    def span(self, size_bytes: int) -> tuple[int, int]:
        """Some first block and count inside a volume of this size."""
        blocks = max(1, min(size_bytes // BLOCK_BYTES, BLOCKS_MAX))
        first = self.choices.below(blocks)
        return first, 1 + self.choices.below(min(4, blocks - first))

    def roomy_size(self) -> int:
        """A small size with several blocks, of which each layer of a volume can have its own."""
        return max(self.size(4), self._roomy())

    def after(self, size_bytes: int) -> int:
        """The next larger size, as far as the limits allow."""
        return min(size_bytes + self.unit, self.size_max_bytes)

    def _roomy(self) -> int:
        wanted = -(-_ROOMY_BLOCKS * BLOCK_BYTES // self.unit) * self.unit
        return wanted if wanted <= self.size_max_bytes else 0

    # Steps

    def create(self, key: str | None = None, size_bytes: int | None = None) -> CreateVolume:
        """A new volume of a small size."""
        size = self.small_size() if size_bytes is None else size_bytes
        step = CreateVolume(key=key or self.name(), size_bytes=size)
        self.sizes[step.key] = size
        return step

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

    def layer(self, volume: str, host: str = "") -> WriteRanges:
        """A write to a block that every layer of the volume has, and to one that only this has.

        What a copy leaves out of a layer shows, and so does what fills the holes of another.
        """
        blocks = max(1, min(self.sizes[volume] // BLOCK_BYTES, BLOCKS_MAX))
        self._layers += 1
        own = self._layers % blocks
        places = [(0, BLOCK_BYTES), (own * BLOCK_BYTES, BLOCK_BYTES)][: 2 if own else 1]
        return self.write_ranges(volume, places, host)

    def read(self, volume: str, host: str = "") -> ReadBlocks:
        """A read of the whole volume, as far as plans reach."""
        count = max(1, min(self.sizes[volume] // BLOCK_BYTES, BLOCKS_MAX))
        return ReadBlocks(volume=volume, host=host or self.host, first=0, count=count)

    def write_range(
        self,
        volume: str,
        host: str = "",
        at: ranges.Range | None = None,
        *,
        handle: str = "",
        zeroes: bool = False,
    ) -> WriteBytes:
        """A write of some range, or of the one ``at``."""
        offset, length = at or ranges.any_range(self.choices, self.sizes[volume])
        return WriteBytes(
            volume=volume,
            host=host or self.host,
            offset_bytes=offset,
            length_bytes=length,
            generation=ZEROES if zeroes else self.generation(),
            handle=handle,
        )

    def write_ranges(
        self, volume: str, places: Sequence[ranges.Range], host: str = "", *, handle: str = ""
    ) -> WriteRanges:
        """A write of all these ranges before one flush."""
        first = self.generation()
        self._generation += len(places) - 1
        return WriteRanges(
            volume=volume,
            host=host or self.host,
            ranges=tuple(places),
            generation=first,
            handle=handle,
        )

    def read_range(
        self, volume: str, host: str = "", at: ranges.Range | None = None, *, handle: str = ""
    ) -> ReadBytes:
        """A read of some range, or of the one ``at``."""
        offset, length = at or ranges.any_range(self.choices, self.sizes[volume])
        return ReadBytes(
            volume=volume,
            host=host or self.host,
            offset_bytes=offset,
            length_bytes=length,
            handle=handle,
        )

    def discard_range(
        self, volume: str, host: str = "", at: ranges.Range | None = None, *, handle: str = ""
    ) -> DiscardBytes:
        """A discard of some range, or of the one ``at``."""
        offset, length = at or ranges.any_range(self.choices, self.sizes[volume])
        return DiscardBytes(
            volume=volume,
            host=host or self.host,
            offset_bytes=offset,
            length_bytes=length,
            handle=handle,
        )

    def any_use(self, volume: str, host: str = "", *, handle: str) -> Step:
        """A read, a write or a discard of some range through a handle that was kept."""
        match self.choices.below(3):
            case 0:
                return self.read_range(volume, host, handle=handle)
            case 1:
                return self.write_range(volume, host, handle=handle)
            case _:
                return self.discard_range(volume, host, handle=handle)

    def snapshot(self, volume: str, key: str | None = None) -> CreateSnapshot:
        """A new snapshot."""
        return CreateSnapshot(key=key or self.name(), volume=volume)

    def written(self, key: str | None = None, size_bytes: int | None = None) -> Iterator[Step]:
        """A new volume, granted to the first host, with data in it; it stays granted."""
        volume = self.create(key, size_bytes)
        yield volume
        yield self.grant(volume.key)
        yield self.write(volume.key)

    def resting(self) -> tuple[str, tuple[Step, ...]]:
        """The key of a new volume with data in it and no grant, and the steps that make it."""
        create, *others = self.rest()
        assert isinstance(create, CreateVolume)
        return create.key, (create, *others)

    def rest(self, key: str | None = None, size_bytes: int | None = None) -> Iterator[Step]:
        """A new volume with data in it and no grant."""
        volume = self.create(key, size_bytes)
        yield volume
        yield self.grant(volume.key)
        yield self.write(volume.key)
        yield self.revoke(volume.key)
