"""Few-shot lists, zero-shot splits, base and novel classes."""
