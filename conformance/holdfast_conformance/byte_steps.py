"""Steps that move bytes of any range, through handles opened for it and handles kept open."""

from holdfast_conformance.harness_step import HarnessStep


class WriteBytes(HarnessStep, frozen=True, kw_only=True, tag="write_bytes"):
    """Write any range of bytes, read it back, then flush; generation 0 writes zeroes.

    The bytes are those that whole stamped blocks of this generation have there. It goes through a
    handle opened for it, or through the one kept under the name ``handle``.
    """

    volume: str
    host: str
    offset_bytes: int
    length_bytes: int
    generation: int
    handle: str = ""


RANGES_MAX = 300
"""How many ranges one step writes at most."""


class WriteRanges(HarnessStep, frozen=True, kw_only=True, tag="write_ranges"):
    """Write ranges one after the other, and flush once, when all are written.

    Each is an offset and a length; the first has ``generation``, and each of the others one more
    than the one before it, so that of two that overlap it shows which was written later.
    """

    volume: str
    host: str
    ranges: tuple[tuple[int, int], ...]
    generation: int
    handle: str = ""


class ReadBytes(HarnessStep, frozen=True, kw_only=True, tag="read_bytes"):
    """Read any range of bytes, through a handle opened for it or one that was kept."""

    volume: str
    host: str
    offset_bytes: int
    length_bytes: int
    handle: str = ""


class DiscardBytes(HarnessStep, frozen=True, kw_only=True, tag="discard_bytes"):
    """Discard any range of bytes, then flush, through a handle opened for it or one kept."""

    volume: str
    host: str
    offset_bytes: int
    length_bytes: int
    handle: str = ""


class KeepHandle(HarnessStep, frozen=True, kw_only=True, tag="keep_handle"):
    """Open a granted volume and keep what was opened, as a guest does, under a name."""

    volume: str
    host: str
    handle: str
