"""One module for each way to move bytes; ``holdfast.motion.installed_mechanisms`` finds them."""
