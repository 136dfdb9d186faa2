"""The reference model: pure values that say which answers a driver may give and what is then true."""
