"""Planted secrets: where they show up, and their removal from everything that is written."""

from collections.abc import Iterable

import msgspec

from holdfast.concurrency.runtime import runtime
from holdfast.contract.requests import Grant
from holdfast_conformance.canary import PREFIX, REDACTED

SECRET_MIN_LENGTH = 4
"""A shorter value would be found by accident in ordinary text."""


class Canaries:
    """The secrets that are in play during one plan, and where one was seen since the last step."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}
        self._secrets: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        self._seen: set[str] = set()

    def know(self, secrets: Iterable[str]) -> None:
        """Add secrets that must never be seen."""
        self._secrets = tuple(
            {*self._secrets, *(s for s in secrets if len(s) >= SECRET_MIN_LENGTH)}
        )
        self._bytes = tuple(secret.encode() for secret in self._secrets)

    def forget(self) -> None:
        """Begin anew: another plan, other secrets."""
        self._planted.clear()
        self._secrets = self._bytes = ()
        self._seen.clear()

    def plant(self, request: Grant) -> Grant:
        """The request with its placeholder replaced by a random secret, the same one each time."""
        if not request.secret:
            return request
        if request.secret not in self._planted:
            self._planted[request.secret] = runtime().new_id(PREFIX)
            self.know(self._planted.values())
        return msgspec.structs.replace(request, secret=self._planted[request.secret])

    def scan(self, place: str, data: bytes | str) -> None:
        """Note where a secret is seen."""
        if isinstance(data, str):
            found = any(secret in data for secret in self._secrets)
        else:
            found = any(secret in data for secret in self._bytes)
        if found:
            self._seen.add(place)

    def take(self) -> tuple[str, ...]:
        """Where secrets were seen since the last call."""
        if not self._seen:
            return ()
        seen = tuple(sorted(self._seen))
        self._seen.clear()
        return seen

    def redact(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """JSON without secrets; it stays JSON, for a secret in it is always inside a string."""
        for secret in self._bytes:
            if secret in data:
                data = data.replace(secret, REDACTED.encode())
        return data


def secrets_of(config: msgspec.Struct, fields: Iterable[str]) -> tuple[str, ...]:
    """The values of a configuration's secret fields."""
    values = (getattr(config, field, "") for field in fields)
    return tuple(value for value in values if isinstance(value, str))
