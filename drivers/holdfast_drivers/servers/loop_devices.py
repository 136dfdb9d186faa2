"""Loop devices for containers that mount a file system of their own."""

import contextlib
import fcntl
from pathlib import Path
from typing import Final

_LOOPS: Final = 32
_LOOP_ADD: Final = 0x4C80
_CONTROL: Final = Path("/dev/loop-control")


def make_loop_devices() -> None:
    """Have the kernel make as many as testbeds may use at once, where it lets us. Blocking."""
    try:
        with _CONTROL.open("rb") as control:
            for number in range(_LOOPS):
                with contextlib.suppress(FileExistsError):
                    fcntl.ioctl(control, _LOOP_ADD, number)
    except OSError:
        return  # those that are there must do


def loop_devices() -> tuple[str, ...]:
    """What a container's specification says to have them all."""
    control = (str(_CONTROL),) if _CONTROL.exists() else ()
    loops = sorted(str(path) for path in Path("/dev").glob("loop[0-9]*"))
    return tuple(f"{path}:{path}:rwm" for path in (*control, *loops))
