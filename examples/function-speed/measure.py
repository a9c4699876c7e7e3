"""Fixed: times the function and checks its answer."""

import time

import numpy as np
from nearest import nearest

POINTS, ROUNDS = 300, 7
points = np.random.default_rng(3).normal(size=(POINTS, 3))


def right_answer():
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(1)


times = []
for _ in range(ROUNDS):
    start = time.process_time()
    answer = nearest(points)
    times.append(time.process_time() - start)
print("---")
print(f"seconds: {min(times):.6f}")
print(f"correct: {int(np.array_equal(answer, right_answer()))}")
