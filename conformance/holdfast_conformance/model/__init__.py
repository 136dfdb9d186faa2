"""The reference model: pure values that say what a driver may answer, and what is then so."""
