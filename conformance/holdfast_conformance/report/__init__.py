"""The report of a run: written from traces, rendered three ways, verified by writing it again."""
