"""What inspectors have in common: no storage system, and nothing that a driver is made of."""
