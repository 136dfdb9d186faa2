"""The conformance suite: properties, plans, execution, judgement and a report that can be
recomputed.
"""
