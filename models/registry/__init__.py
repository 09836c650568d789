"""MLflow's registry: versions, promotion and history."""
