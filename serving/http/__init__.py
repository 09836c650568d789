"""HTTP: connections, keys, limits, logs and metrics."""
