"""Scenarios: short stories, each with an intent that chance alone would rarely find."""
