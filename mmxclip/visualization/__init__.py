"""Pictures of runs and of predictions."""
