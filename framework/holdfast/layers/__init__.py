"""Layers: cross-cutting concerns over the driver interface, composed from outside."""

from holdfast.layers.guard import (
    ImageGuard,
    PrimaryGuard,
    guard_image,
    guard_primary,
)
from holdfast.layers.life_cycle_guard import LifeCycleGuard, guard_life_cycle

__all__ = [
    "ImageGuard",
    "LifeCycleGuard",
    "PrimaryGuard",
    "guard_image",
    "guard_life_cycle",
    "guard_primary",
]
