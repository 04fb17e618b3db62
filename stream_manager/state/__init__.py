"""What PostgreSQL and the warehouse know of the log: the applier, the ledger, freshness."""
