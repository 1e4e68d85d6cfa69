"""Evaluation protocols: one config, repeated over splits, seeds and numbers of videos."""
