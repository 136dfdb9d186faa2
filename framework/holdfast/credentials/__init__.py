"""Secrets: where they are kept, what refers to them, and when they are looked up."""
