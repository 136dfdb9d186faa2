"""Configurations that must be refused: each a good one with something changed."""

import socket
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from holdfast.contract.errors import ErrorKind
from holdfast.contract.testbed import BadConfig

WrongSetting = tuple[str, dict[str, Any], tuple[ErrorKind, ...]]
"""A name, what is changed of a good configuration, and the errors that are right."""


def bad_configs(good: msgspec.Struct, wrong: Iterable[WrongSetting]) -> tuple[BadConfig, ...]:
    """What ``Testbed.bad_configs`` answers."""
    return tuple(
        BadConfig(name=name, config=msgspec.structs.replace(good, **changes), expected=expected)
        for name, changes, expected in wrong
    )


def wrong_addresses(setting: str, good: str) -> Iterator[WrongSetting]:
    """What can be wrong with the address of a server that speaks HTTP without encryption.

    Args:
        setting: what the address is called.
        good: the right one; the certificates to be trusted are in the setting ``ca_file``.
    """
    invalid = (ErrorKind.INVALID,)
    encrypted = good.replace("http:", "https:")
    yield "no address", {setting: "127.0.0.1"}, invalid
    free = f"http://127.0.0.1:{_free_port()}"
    yield "a port without a server", {setting: free}, (ErrorKind.UNAVAILABLE,)
    yield "encryption where there is none", {setting: encrypted}, invalid
    missing = {setting: encrypted, "ca_file": "/nonexistent/ca.pem"}
    yield "a file of trusted certificates that is missing", missing, invalid


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
