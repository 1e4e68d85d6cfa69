"""Stands here so that tests below find ``small_models``."""
