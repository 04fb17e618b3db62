"""The public API over the warehouse and the ledger."""
