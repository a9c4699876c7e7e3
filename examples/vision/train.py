"""A small image classifier: two layers, SGD with momentum, on the CPU with numpy alone."""

import numpy as np
from digits import CLASSES, accuracy, images, labels

HIDDEN_UNITS = 8
LEARNING_RATE = 0.02
WEIGHT_DECAY = 0.001
MOMENTUM = 0.5
EPOCHS_OVER_DATA = 6
BATCH_IMAGES = 50

np.random.seed(0)
rng = np.random
weights = [
    rng.normal(size=(images.shape[1], HIDDEN_UNITS)) * images.shape[1] ** -0.5,
    rng.normal(size=(HIDDEN_UNITS, CLASSES)) * HIDDEN_UNITS**-0.5,
]
velocity = [np.zeros_like(w) for w in weights]


def forward(x):
    hidden = np.maximum(x @ weights[0], 0)
    return hidden, hidden @ weights[1]


for _ in range(EPOCHS_OVER_DATA):
    order = rng.permutation(len(images))
    for start in range(0, len(order), BATCH_IMAGES):
        batch = order[start : start + BATCH_IMAGES]
        hidden, logits = forward(images[batch])
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        chances[np.arange(len(batch)), labels[batch]] -= 1
        chances /= len(batch)
        back = (chances @ weights[1].T) * (hidden > 0)
        for place, gradient in enumerate((images[batch].T @ back, hidden.T @ chances)):
            velocity[place] = MOMENTUM * velocity[place] - LEARNING_RATE * (gradient + WEIGHT_DECAY * weights[place])
            weights[place] += velocity[place]

print("---")
print(f"accuracy: {accuracy(lambda x: forward(x)[1].argmax(1)):.4f}")
print(f"parameters: {sum(w.size for w in weights)}")
