"""Templates: register a raw disk image, create volumes from it, delete it."""

from holdfast.capacity import ledger
from holdfast.catalogue.port import Transaction
from holdfast.concurrency.runtime import runtime
from holdfast.contract.capabilities import ObjectKind
from holdfast.contract.requests import Role
from holdfast.model.rows import Involved, StoredObject, Template, Volume, VolumeKind
from holdfast.operations.plans import PlannedStep
from holdfast.operations.workflow import NEW, Draft, Workflow
from holdfast.steps.content_steps import ImageObject, SaveInputs, VerifyObjectInputs
from holdfast.workflows.from_object import deletion, located, volume_from_object
from holdfast.workflows.names import insert_named
from holdfast.workflows.row_holds import Refused, create, share, store_in_service


def register_template(*, name: str, store: str, path: str, size_bytes: int) -> Workflow:
    """Put a raw disk image of this host into an image store, and verify it by reading it back.

    ``path`` is a regular file of ``size_bytes`` that does not change meanwhile.
    """
    template, located_as = runtime().new_id("tmpl"), runtime().new_id("obj")

    def draft(tx: Transaction, operation: str) -> Draft:
        store_in_service(tx, store, Role.IMAGE)
        involved = create(
            tx,
            StoredObject(
                id=located_as,
                owner=template,
                kind=ObjectKind.TEMPLATE,
                store=store,
                key=template,
                size_bytes=size_bytes,
            ),
        )
        insert_named(tx, Template(id=template, name=name, size_bytes=size_bytes))
        ledger.reserve_new(tx, store=store, holder=located_as, amount_bytes=size_bytes)
        save = SaveInputs(
            store=store,
            key=template,
            upload=operation,
            kind=ObjectKind.TEMPLATE,
            size_bytes=size_bytes,
            row=located_as,
            owner=template,
            path=path,
        )
        verify = VerifyObjectInputs(store=store, key=template, size_bytes=size_bytes, saved_by=0)
        return Draft(
            plan=(PlannedStep("image.save", 1, save), PlannedStep("image.verify", 1, verify)),
            involved=(involved, Involved(Template.table, template, NEW)),
        )

    return Workflow(kind="register_template", subject=template, draft=draft)


def create_volume_from_template(
    *, name: str, store: str, template: str, size_bytes: int | None = None
) -> Workflow:
    """A new root volume with a template's bytes: of the template's size, or larger."""
    volume = runtime().new_id("vol")

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        image = tx.get(Template, template)
        if size_bytes is not None and size_bytes < image.size_bytes:
            raise Refused(
                f"template {image.name} has {image.size_bytes} bytes, which a volume of "
                f"{size_bytes} cannot hold; ask for as many, or name no size"
            )
        source = located(tx, template)
        row = Volume(
            id=volume,
            name=name,
            kind=VolumeKind.ROOT,
            store=store,
            key=volume,
            size_bytes=image.size_bytes if size_bytes is None else size_bytes,
            template=template,
        )
        plan, involved = volume_from_object(
            tx,
            row,
            ImageObject(
                store=source.store,
                key=source.key,
                size_bytes=image.size_bytes,
                content=image.content,
            ),
        )
        return Draft(plan=plan, involved=(involved, share(source)))

    return Workflow(
        kind="create_volume_from_template", subject=volume, shares=(template,), draft=draft
    )


def delete_template(template: str) -> Workflow:
    """Delete a template wherever it is stored, once no volume is being made from it any more."""

    def draft(tx: Transaction, operation: str) -> Draft:
        del operation
        return deletion(tx, tx.get(Template, template))

    return Workflow(kind="delete_template", subject=template, holds=(template,), draft=draft)
