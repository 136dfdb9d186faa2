"""Carrying plans out: workers that are watched, campaigns, and whole certifications."""
