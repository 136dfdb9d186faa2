"""The properties of the suite, one module per category; importing this package registers them."""

from holdfast_conformance.properties import img

__all__ = ["img"]
