"""The readers and one module that uses them, as one text for a Python without any package."""

from pathlib import Path
from typing import Final

from holdfast_drivers.inspection import readers

_ORDER: Final = (
    "regular_files",
    "disk_content",
    "seen",
    "kept_facts",
    "store_folders",
    "surroundings",
)
"""Each after those that it imports."""
_MADE: Final = """\
import sys, types
for name, text in {modules!r}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), vars(module))
"""


def sent_program(module: Path) -> str:
    """What ``python3 -c`` runs in a container: the module, and before it the readers."""
    modules = [
        (f"{readers.__name__}.{name}", _text(Path(readers.__path__[0], f"{name}.py")))
        for name in _ORDER
    ]
    return f"{_MADE.format(modules=modules)}\n{_text(module)}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
