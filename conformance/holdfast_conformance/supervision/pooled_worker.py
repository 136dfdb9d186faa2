"""A lane: a worker with everything that belongs to it, from the first call to the last remains."""

import msgspec

from holdfast_conformance.supervision.campaign import Campaign
from holdfast_conformance.supervision.killed_run_record import Ledger
from holdfast_conformance.supervision.supervisor import Patience, Supervisor


class Lane(msgspec.Struct, frozen=True):
    """A campaign with the supervisor it works through and the ledger of what it uses."""

    campaign: Campaign
    supervisor: Supervisor
    ledger: Ledger

    def close(self) -> bool:
        """End the worker and the ledger; whether nothing is left behind.

        Ctrl-C meanwhile cuts the worker off; the ledger then stays and says what it may have left.
        """
        clean = False
        try:
            clean = self.supervisor.close()
        finally:
            self.ledger.close(clean=clean)
        return clean

    def abandon(self) -> bool:
        """Kill a worker that a thread of ours may still listen to; the ledger says what it left."""
        self.supervisor.abort()
        return self.ledger.close(clean=False)


def open_lane(provider: str, testbed: str, run: str, patience: Patience | None = None) -> Lane:
    """A lane that is a run of its own: nothing of it is shared with another one."""
    supervisor = Supervisor(provider, testbed, run, patience)
    ledger = Ledger.begin(run, provider, testbed)
    return Lane(Campaign(supervisor, run, ledger), supervisor, ledger)
