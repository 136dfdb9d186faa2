"""Where secrets are kept that nobody keeps for us: apart from rows, plans and journals."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping


class SecretKeeper(ABC):
    """Secrets under names; the first part of a name, up to the first ``/``, is the store's id."""

    @abstractmethod
    async def find(self, name: str) -> str | None:
        """The secret under a name, or ``None``."""

    @abstractmethod
    async def keep(self, secrets: Mapping[str, str]) -> None:
        """Keep these, durably before the answer, in place of others under their names."""

    @abstractmethod
    async def keep_first(self, name: str, secret: str) -> str:
        """What is kept under a name; where that is nothing, this is kept, durably before the
        answer. Of several at once all get the same.
        """

    @abstractmethod
    async def stores(self) -> frozenset[str]:
        """The ids of the stores of which something is kept."""

    async def has(self, store: str) -> bool:
        """Whether something is kept of a store."""
        return store in await self.stores()

    @abstractmethod
    async def remove(self, stores: Collection[str]) -> None:
        """Keep nothing of these stores any more; what is absent is fine."""


class Withheld(dict[str, str]):
    """Secrets by name, which no traceback and no log shows."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


def store_of(name: str) -> str:
    """The id of the store that a secret belongs to."""
    return name.partition("/")[0]


class MemoryKeeper(SecretKeeper):
    """Secrets that are gone with the process, for catalogues that are, too."""

    def __init__(self) -> None:
        self._kept = Withheld()

    async def find(self, name: str) -> str | None:
        """The secret under a name, or ``None``."""
        return self._kept.get(name)

    async def keep(self, secrets: Mapping[str, str]) -> None:
        """Keep these."""
        self._kept.update(secrets)

    async def keep_first(self, name: str, secret: str) -> str:
        """What is kept under a name, this where it is nothing."""
        return self._kept.setdefault(name, secret)

    async def stores(self) -> frozenset[str]:
        """The ids of the stores of which something is kept."""
        return frozenset(map(store_of, self._kept))

    async def remove(self, stores: Collection[str]) -> None:
        """Keep nothing of these stores any more."""
        stays = {name: one for name, one in self._kept.items() if store_of(name) not in stores}
        self._kept = Withheld(stays)
