"""The small corpus of the trainer's tests."""

from tests.trainer.conftest import cache, corpus

__all__ = ["cache", "corpus"]
