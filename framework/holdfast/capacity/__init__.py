"""What stores have promised: the ledger."""
