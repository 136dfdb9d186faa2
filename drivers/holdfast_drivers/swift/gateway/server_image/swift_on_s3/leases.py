"""Bytes stay while somebody reads them: what is removed waits for those who began before.

Only this process's readers are known. Who reads through another gateway meets bytes that are gone,
looks at the record again where nothing was answered yet, and else breaks off.
"""

from collections.abc import Callable


class Lease:
    """One reader of the object whose record has this key."""

    def __init__(self, key: str, ended: Callable[["Lease"], None]) -> None:
        self.key = key
        self._ended = ended

    def end(self) -> None:
        """Let go of the bytes; the last reader of some that were replaced removes them."""
        self._ended(self)


class Leases:
    """Who reads what, and what waits for them.

    Args:
        drop: removes bytes that nobody reads.
    """

    def __init__(self, drop: Callable[[str], None]) -> None:
        self._drop = drop
        self._readers: dict[str, set[Lease]] = {}
        self._waiting: list[tuple[str, set[Lease]]] = []

    def begin(self, key: str) -> Lease:
        """Read what the record with this key names: from before the record is read."""
        lease = Lease(key, self._end)
        self._readers.setdefault(key, set()).add(lease)
        return lease

    def drop(self, key: str, data: str) -> None:
        """Remove bytes that the record with this key named, once its readers of now have ended."""
        readers = self._readers.get(key)
        if readers:
            # Only those of now: who begins later reads the record anew, and it names others.
            self._waiting.append((data, set(readers)))
        else:
            self._drop(data)

    def waits(self, data: str) -> bool:
        """Whether bytes that were replaced are still read; they go with their last reader."""
        return any(data == waiting for waiting, _ in self._waiting)

    def _end(self, lease: Lease) -> None:
        readers = self._readers.get(lease.key, set())
        readers.discard(lease)
        if not readers:
            self._readers.pop(lease.key, None)
        for _, leases in self._waiting:
            leases.discard(lease)
        free = [data for data, leases in self._waiting if not leases]
        self._waiting = [(data, leases) for data, leases in self._waiting if leases]
        for data in free:
            self._drop(data)
