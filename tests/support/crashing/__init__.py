"""Kills and power cuts of ``holdfast demo``, with recovery and a look at everything afterwards."""
