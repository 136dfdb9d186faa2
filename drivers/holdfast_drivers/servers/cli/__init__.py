"""Commands of the servers' room: ``holdfast backends`` and ``holdfast doctor``."""
