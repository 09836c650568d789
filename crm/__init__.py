"""The CRM's records: what they are, where they are read from, and a simulated set of them."""
