"""The stores of a catalogue: opened, kept open, and forgotten when they are gone."""
