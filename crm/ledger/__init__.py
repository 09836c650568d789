"""The ledger: what callers sent, every score, every outcome."""
