"""``python -m holdfast`` is ``holdfast``, and looks for modules where ``holdfast`` does."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the folder in which it happens to stand; nothing was imported from it yet

from holdfast.cli import main

if __name__ == "__main__":
    main()
