"""From videos and label names to scores: see :class:`mmxclip.VideoClassifier`."""
