"""One certification from loading to the report."""
