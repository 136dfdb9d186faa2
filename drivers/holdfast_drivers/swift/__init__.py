"""Image stores in OpenStack Swift."""

from holdfast_drivers.swift.provider import SwiftProvider

__all__ = ["SwiftProvider"]
