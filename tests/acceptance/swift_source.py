"""Swift's own tests, from its source distribution, in an environment of their own."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

VERSION = "2.38.3"
_REQUIREMENTS = (
    f"swift=={VERSION}",
    "pytest==9.2.0",
    "pytest-subtests==0.15.0",
    "boto3==1.43.53",
    "boto==2.49.0",
    "python-swiftclient==4.11.0",
    "requests",
)


_making = threading.Lock()
"""Several rows want them at once, and one makes them."""


def cache_folder() -> Path:
    """Where downloads are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "holdfast" / "acceptance"


def swift_tests() -> tuple[Path, Path]:
    """The unpacked source and the interpreter for its tests; made where they are missing."""
    stamp = hashlib.sha256("\n".join(_REQUIREMENTS).encode()).hexdigest()[:12]
    folder = cache_folder() / f"swift-{VERSION}-{stamp}"
    source, python = folder / f"swift-{VERSION}", folder / "venv" / "bin" / "python"
    done = folder / "complete"
    with _making:
        if not done.exists():
            _make(folder, python)
            done.touch()
    return source, python


def _make(folder: Path, python: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "venv", "--clear", str(folder / "venv"))
    _run(str(python), "-m", "pip", "install", "-q", *_REQUIREMENTS)
    download = ("download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder))
    _run(str(python), "-m", "pip", *download, f"swift=={VERSION}")
    _run("tar", "-xzf", str(folder / f"swift-{VERSION}.tar.gz"), "-C", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
