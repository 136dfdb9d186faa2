"""How a command to a storage daemon fails."""


class DaemonRefused(Exception):
    """The daemon answered a command with an error; the text is QEMU's."""


class DaemonLost(Exception):
    """The daemon is gone, or did not answer in time and was killed; the text says which."""
