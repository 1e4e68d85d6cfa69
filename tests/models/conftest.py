"""Stands here so that the models' tests find ``small_models``."""
