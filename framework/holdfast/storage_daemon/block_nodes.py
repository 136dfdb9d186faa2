"""From a handle to QEMU's block nodes: one definition per node, children first.

Each protocol node is added by itself under a name of its own: nested in its parent, an NFS node
cannot be reopened for writing later. Everything bypasses the host's caches, so that a request that
reads bytes always reaches the storage.
"""

from typing import Any, Final

import msgspec

from holdfast.contract.errors import Invalid
from holdfast.contract.handles import BlockNodeHandle, FileHandle

_CHILDREN: Final = ("file", "backing", "data-file")
_FORMATS: Final = frozenset({"qcow2", "qcow", "qed", "vdi", "vhdx", "vmdk", "vpc", "parallels"})
_SECRET_KEYS: Final = ("password-secret", "key-secret")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node to add: the arguments of ``blockdev-add``."""

    name: str
    arguments: dict[str, Any]


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to add for one handle, in this order; the last node is the volume."""

    nodes: tuple[Node, ...]
    needs_secret: bool
    knows_zeroes: bool
    """Whether a format's own tables say where data is, without asking the storage."""

    @property
    def top(self) -> str:
        """The volume's node."""
        return self.nodes[-1].name


def plan_nodes(handle: BlockNodeHandle | FileHandle, name: str, secret: str) -> NodePlan:
    """The nodes behind a handle.

    Args:
        handle: a regular file is its one protocol node.
        name: the top node's name; the others are named after it.
        secret: the id of the QEMU secret object that credentials refer to.

    Raises:
        Invalid: the description is no JSON object that names drivers.
    """
    if isinstance(handle, FileHandle):
        described: Any = {"driver": "file", "filename": handle.path}
    else:
        try:
            described = msgspec.json.decode(handle.blockdev)
        except msgspec.DecodeError:
            raise Invalid("the handle's block node description is no JSON") from None
    nodes: list[Node] = []
    needs = _add(described, name, nodes, read_only=handle.read_only, secret=secret)
    knows = any(node.arguments["driver"] in _FORMATS for node in nodes)
    return NodePlan(nodes=tuple(nodes), needs_secret=needs, knows_zeroes=knows)


def _add(described: Any, name: str, nodes: list[Node], *, read_only: bool, secret: str) -> bool:
    """Append a node after its children; whether any of them needs the secret."""
    if not isinstance(described, dict) or not isinstance(described.get("driver"), str):  # pyright: ignore[reportUnknownMemberType] - JSON
        raise Invalid("the handle's block node description names no driver")
    arguments: dict[str, Any] = dict(described)  # pyright: ignore[reportUnknownArgumentType] - JSON
    needs = False
    for key in _CHILDREN:
        if isinstance(arguments.get(key), dict):
            child = f"{name}-{key[0]}"
            needs |= _add(arguments[key], child, nodes, read_only=read_only, secret=secret)
            arguments[key] = child
    for key in _SECRET_KEYS:
        if key in arguments:
            arguments[key] = secret
            needs = True
    arguments["node-name"] = name
    arguments.setdefault("cache", {"direct": True, "no-flush": False})
    arguments.setdefault("discard", "unmap")
    if read_only:
        arguments["read-only"] = True
        arguments.pop("auto-read-only", None)
    nodes.append(Node(name=name, arguments=arguments))
    return needs
