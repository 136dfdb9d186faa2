"""The testbed as a process of its own: what runs it, and what speaks to it."""
