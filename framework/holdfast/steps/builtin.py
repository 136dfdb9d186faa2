"""Every kind of step that the framework brings."""

from holdfast.operations.step_registry import AnyKind, Registry
from holdfast.steps.content_steps import (
    CreateFromObject,
    FillVolume,
    SaveObject,
    VerifyObject,
    VerifyVolume,
)
from holdfast.steps.driver_verbs import verb_kinds
from holdfast.steps.life_cycle import life_cycle_kinds


def builtin_registry() -> Registry:
    """A registry of all kinds that the framework brings."""
    contents: list[AnyKind] = [
        FillVolume(),
        VerifyVolume(),
        CreateFromObject(),
        SaveObject(),
        VerifyObject(),
    ]
    return Registry([*verb_kinds(), *life_cycle_kinds(), *contents])
