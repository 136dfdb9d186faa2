"""Layers: cross-cutting concerns over the driver interface, composed from outside."""

from holdfast.layers.guard import (
    ImageGuard,
    LifeCycleGuard,
    PrimaryGuard,
    guard_image,
    guard_life_cycle,
    guard_primary,
)

__all__ = [
    "ImageGuard",
    "LifeCycleGuard",
    "PrimaryGuard",
    "guard_image",
    "guard_life_cycle",
    "guard_primary",
]
