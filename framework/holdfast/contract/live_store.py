"""The description of a real store that somebody lends to the conformance suite: ``live:FILE``."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from holdfast.contract.errors import ConfigurationError
from holdfast.contract.requests import Role

LIVE_PREFIX = "live:"
"""What the name of a backend begins with that is described in a file."""


class LiveStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A real store, as its file describes it; the suite works in namespaces of its own there.

    Args:
        primary: the provider's configuration of a primary store, without its namespace.
        image: likewise, of an image store.
        inspector: the settings in which the inspector's access differs from the driver's, its own
            credentials above all.
        hosts: the hosts that may be attached; the testbed's own where there are none.
    """

    primary: dict[str, Any] = {}
    image: dict[str, Any] = {}
    inspector: dict[str, Any] = {}
    hosts: tuple[str, ...] = ()

    def settings(self, role: Role, namespace: str) -> dict[str, Any]:
        """The configuration of a role in one namespace, as keys and values.

        Raises:
            ConfigurationError: the file describes no store of this role.
        """
        found = self.primary if role is Role.PRIMARY else self.image
        if not found:
            raise ConfigurationError(f"the file describes no {role} store; add a table [{role}]")
        return {**found, "namespace": namespace}


def read_live_store(path: Path) -> LiveStore:
    """Read a description, TOML or (with the suffix ``.json``) JSON.

    Raises:
        ConfigurationError: it cannot be read or is no such description. No message repeats a
            value: it may be a secret.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    is_json = path.suffix == ".json"
    try:
        tables = json.loads(data) if is_json else tomllib.loads(data.decode())
    except ValueError:
        raise ConfigurationError(f"{path} is no valid {'JSON' if is_json else 'TOML'}") from None
    try:
        return msgspec.convert(tables, LiveStore)
    except msgspec.ValidationError as error:
        where = str(error).rpartition(" - at ")[2]
        known = ", ".join(LiveStore.__struct_fields__)
        raise ConfigurationError(
            f"{path} describes no store ({where}); it has the keys {known}"
        ) from None
