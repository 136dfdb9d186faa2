"""Holdfast: storage orchestration with drivers that are proven, not promised."""
