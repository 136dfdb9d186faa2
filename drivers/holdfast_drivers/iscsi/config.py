"""What the ``iscsi`` driver is told, and what it declares for the storage host it finds."""

from typing import Final

from holdfast.contract.errors import Invalid
from holdfast_drivers.storage_host.config import AgentConfig, StorageHostConfig

TGT_SOCKET: Final = "/var/run/tgtd/socket.0"


class IscsiConfig(StorageHostConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A store in a folder of a storage host that runs tgt.

    Args:
        portal: address and port at which hosts reach tgt, such as ``192.0.2.7:3260``.
        tgt_socket: where tgt takes orders there.
        mutual_user: the name with which targets prove themselves to hosts that ask (mutual CHAP).
        mutual_secret: the secret that goes with it.
    """

    portal: str
    tgt_socket: str = TGT_SOCKET
    mutual_user: str = ""
    mutual_secret: str = ""


class HostConfig(AgentConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the configuration that the agent on the storage host needs."""

    portal: str
    tgt_socket: str
    mutual_user: str
    mutual_secret: str


def host_config(config: IscsiConfig) -> HostConfig:
    """What the agent is told.

    Raises:
        Invalid: a setting can never work; it is named, and nobody is asked.
    """
    address, _, port = config.portal.rpartition(":")
    if not address or not port.isdecimal():
        raise Invalid(f"portal {config.portal!r} is no address and port, such as 192.0.2.7:3260")
    if bool(config.mutual_user) != bool(config.mutual_secret):
        raise Invalid("mutual_user and mutual_secret belong together; set both or none")
    check_secret("mutual_user", config.mutual_user)
    check_secret("mutual_secret", config.mutual_secret)
    told = HostConfig(
        portal=config.portal,
        root=config.root,
        namespace=config.namespace,
        tgt_socket=config.tgt_socket,
        mutual_user=config.mutual_user,
        mutual_secret=config.mutual_secret,
        capacity_bytes=config.capacity_bytes,
    )
    told.place()
    return told


def check_secret(what: str, secret: str) -> None:
    """``Invalid`` for a word that tgt's protocol cannot carry; it is not repeated."""
    if any(not 33 <= ord(letter) <= 126 or letter == "," for letter in secret):
        raise Invalid(f"{what} has characters other than printable ASCII without spaces or commas")
