"""For the CRM: the scoring service."""
