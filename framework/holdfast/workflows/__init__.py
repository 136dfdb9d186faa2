"""The workflows: small functions, each of which makes a ``Workflow`` that drafts its own plan."""

from holdfast.workflows.access import attach_volume, detach_volume
from holdfast.workflows.backups import create_backup, delete_backup, restore_backup
from holdfast.workflows.row_holds import Refused
from holdfast.workflows.snapshots import create_snapshot, delete_snapshot, revert_volume
from holdfast.workflows.stores import (
    add_store,
    adopt_store,
    cancel_maintenance,
    maintain_store,
    remove_store,
)
from holdfast.workflows.templates import (
    create_volume_from_template,
    delete_template,
    register_template,
)
from holdfast.workflows.volumes import create_volume, delete_volume, resize_volume

__all__ = [
    "Refused",
    "add_store",
    "adopt_store",
    "attach_volume",
    "cancel_maintenance",
    "create_backup",
    "create_snapshot",
    "create_volume",
    "create_volume_from_template",
    "delete_backup",
    "delete_snapshot",
    "delete_template",
    "delete_volume",
    "detach_volume",
    "maintain_store",
    "register_template",
    "remove_store",
    "resize_volume",
    "restore_backup",
    "revert_volume",
]
