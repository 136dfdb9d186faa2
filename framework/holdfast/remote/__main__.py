"""``python3 -P -m holdfast.remote MODULE:NAME``: the agent."""

import sys

from holdfast.remote.agent import main

sys.exit(main(sys.argv[1:]))
