"""Make this faster: for every point the index of its nearest neighbour. The answer must stay the same."""

import numpy as np

BLOCK_ROWS = 1  # points that are compared with all others at a time
SAMPLED_EVERY = 1  # only every so-manieth point is looked at: faster, and wrong


def nearest(points: np.ndarray) -> np.ndarray:
    found = np.empty(len(points), dtype=int)
    others = points[::SAMPLED_EVERY]
    for start in range(0, len(points), BLOCK_ROWS):
        block = points[start : start + BLOCK_ROWS]
        distances = ((block[:, None, :] - others[None, :, :]) ** 2).sum(-1)
        distances[distances == 0] = np.inf  # a point is not its own neighbour
        found[start : start + BLOCK_ROWS] = distances.argmin(1) * SAMPLED_EVERY
    return found
