import math
import random
import time

from agent import act


def episode(seed):
    chance = random.Random(seed)
    place, speed, angle, spin = (chance.uniform(-0.05, 0.05) for _ in range(4))
    for step in range(500):
        force = 10.0 if act(place, speed, angle, spin) else -10.0
        temp = (force + 0.05 * spin**2 * math.sin(angle)) / 1.1
        turn = (9.8 * math.sin(angle) - math.cos(angle) * temp) / (0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1))
        push = temp - 0.05 * turn * math.cos(angle) / 1.1
        place, speed, angle, spin = place + 0.02 * speed, speed + 0.02 * push, angle + 0.02 * spin, spin + 0.02 * turn
        if abs(place) > 2.4 or abs(angle) > 0.2095:
            return step + 1
    return 500


start, rewards = time.time(), []
for number in range(50):
    rewards.append(episode(number))
    print(f"\repisode {number + 1}/50 mean_reward={sum(rewards) / len(rewards):.1f}", end="", flush=True)
print()
print("| metric      | value |")
print("|-------------|-------|")
print(f"| episodes    | {len(rewards)} |")
print(f"| mean_reward | {sum(rewards) / len(rewards):.2f} |")
print(f"| min_reward  | {min(rewards)} |")
print(f"| wall_time   | {time.time() - start:.2f} |")
