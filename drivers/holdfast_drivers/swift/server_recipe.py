"""The image of the testbed's server; the gateway's image is built from the same packages."""

from pathlib import Path
from typing import Final

from holdfast_drivers.servers.server_specs import ImageRecipe

SWIFT_IMAGE: Final = ImageRecipe(
    name="holdfast/swift", folder=Path(__file__).parent / "server_image"
)
PORT: Final = 8080
"""Where the proxy of either listens."""
