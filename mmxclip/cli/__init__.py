"""The ``mmxclip`` command."""
