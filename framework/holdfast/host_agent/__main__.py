"""``python3 -P -m holdfast.host_agent MODULE:NAME``: the agent."""

import sys

from holdfast.host_agent.agent import main

sys.exit(main(sys.argv[1:]))
