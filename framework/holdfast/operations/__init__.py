"""How an operation runs: plans, journal, engine and its attempts, recovery, and who may work."""
