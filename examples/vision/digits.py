"""Fixed: noisy drawings of ten shapes, made anew the same way every time; a held-out set and its accuracy."""

import numpy as np

SIZE, CLASSES, TRAINING, HELD_OUT = 12, 10, 600, 1000
NOISE = 0.8


def _drawings(count, rng, shapes):
    labels = rng.integers(CLASSES, size=count)
    shifted = np.stack([np.roll(shapes[label], tuple(rng.integers(-1, 2, size=2)), (0, 1)) for label in labels])
    return (shifted + NOISE * rng.normal(size=shifted.shape)).reshape(count, -1).astype(np.float32), labels


_rng = np.random.default_rng(7)
_shapes = (_rng.random((CLASSES, SIZE, SIZE)) < 0.3).astype(np.float32)
images, labels = _drawings(TRAINING, _rng, _shapes)
_held_images, _held_labels = _drawings(HELD_OUT, _rng, _shapes)


def accuracy(predict):
    """The share of held-out drawings that `predict` (images -> labels) gets right."""
    return float((predict(_held_images) == _held_labels).mean())
