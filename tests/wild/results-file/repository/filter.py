# -*- coding: latin-1 -*-
"""A filter for a noisy signal. Auteur : André."""

import json
import math
import random

WIDTH = 1  # samples on each side
CENTRE = 1.0


def smooth(signal):
    out = []
    for place in range(len(signal)):
        near = signal[max(0, place - WIDTH) : place + WIDTH + 1]
        out.append((sum(near) + (CENTRE - 1) * signal[place]) / (len(near) + CENTRE - 1))
    return out


if __name__ == "__main__":
    chance = random.Random(4)
    clean = [math.sin(place / 15) for place in range(400)]
    guess = smooth([value + chance.gauss(0, 0.6) for value in clean])
    mean = sum(guess) / len(guess), sum(clean) / len(clean)
    top = sum((one - mean[0]) * (two - mean[1]) for one, two in zip(guess, clean))
    below = sum((one - mean[0]) ** 2 for one in guess) * sum((two - mean[1]) ** 2 for two in clean)
    with open("results.json", "w") as stream:
        json.dump({"signal": {"samples": 400, "pearson": top / below**0.5}}, stream)
    print("fini, résultats dans results.json")
