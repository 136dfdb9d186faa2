"""Layers: concerns of every call of a driver, each one method, put around a port from outside."""

from holdfast.layers.deadline import Deadline
from holdfast.layers.faults import Fault, Faults
from holdfast.layers.guard import (
    ImageGuard,
    PrimaryGuard,
    guard_image,
    guard_primary,
)
from holdfast.layers.layer import Layer
from holdfast.layers.layered import LayeredImage, LayeredLifeCycle, LayeredPrimary
from holdfast.layers.life_cycle_guard import LifeCycleGuard, guard_life_cycle
from holdfast.layers.recorder import CallRecord, Recorder
from holdfast.layers.retries import BackOff, Retries
from holdfast.layers.throttle import Throttle

__all__ = [
    "BackOff",
    "CallRecord",
    "Deadline",
    "Fault",
    "Faults",
    "ImageGuard",
    "Layer",
    "LayeredImage",
    "LayeredLifeCycle",
    "LayeredPrimary",
    "LifeCycleGuard",
    "PrimaryGuard",
    "Recorder",
    "Retries",
    "Throttle",
    "guard_image",
    "guard_life_cycle",
    "guard_primary",
]
