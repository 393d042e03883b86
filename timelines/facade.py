"""What the entry point may ask of timelines."""

from timelines.warm import answer as warm_answer

__all__ = ["warm_answer"]
