"""The ledger as the service uses it."""
