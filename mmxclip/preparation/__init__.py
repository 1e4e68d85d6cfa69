"""From datasets as their owners distribute them to annotation lists; see ``prepare``."""
