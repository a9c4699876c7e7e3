"""Forty weeks of demand, always the same."""

import math
import random


def demand():
    chance = random.Random(11)
    return [60 + 20 * math.sin(2 * math.pi * day / 7) + day * 0.05 + chance.gauss(0, 3) for day in range(280)]
