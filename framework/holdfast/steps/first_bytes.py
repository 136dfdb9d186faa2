"""The first bytes of a volume as block access of their own: what a disk image covers of it."""

from holdfast.data.block_io import BlockIO, Extent, check_range


class Window(BlockIO):
    """The first ``size_bytes`` of another block access, so that both have one digest.

    A store rounds sizes up; what lies behind the image's end is not part of the image.
    """

    def __init__(self, inner: BlockIO, size_bytes: int) -> None:
        self.size_bytes = min(size_bytes, inner.size_bytes)
        self._inner = inner

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        check_range(offset_bytes, length_bytes, self.size_bytes)
        inside = max(0, min(length_bytes, self._inner.size_bytes - offset_bytes))
        data = await self._inner.read_at(offset_bytes, inside) if inside else b""
        # A window that was made larger than what it shows reads zeroes behind the end.
        return data.ljust(length_bytes, b"\0")

    async def write_at(self, offset_bytes: int, data: bytes) -> None:
        check_range(offset_bytes, len(data), self.size_bytes)
        await self._inner.write_at(offset_bytes, data)

    async def flush(self) -> None:
        await self._inner.flush()

    async def discard(self, offset_bytes: int, length_bytes: int) -> None:
        check_range(offset_bytes, length_bytes, self.size_bytes)
        await self._inner.discard(offset_bytes, length_bytes)

    async def extents(self) -> tuple[Extent, ...]:
        return tuple(
            Extent(e.offset_bytes, min(e.length_bytes, self.size_bytes - e.offset_bytes))
            for e in await self._inner.extents()
            if e.offset_bytes < self.size_bytes
        )


class Resized(Window):
    """A volume's bytes as they would be at another size: what lies behind its end is zeroes."""

    def __init__(self, inner: BlockIO, size_bytes: int) -> None:
        super().__init__(inner, size_bytes)
        self._there_bytes = self.size_bytes
        self.size_bytes = size_bytes

    async def read_at(self, offset_bytes: int, length_bytes: int) -> bytes:
        check_range(offset_bytes, length_bytes, self.size_bytes)
        there = max(0, min(length_bytes, self._there_bytes - offset_bytes))
        data = await self._inner.read_at(offset_bytes, there) if there else b""
        return data.ljust(length_bytes, b"\0")
