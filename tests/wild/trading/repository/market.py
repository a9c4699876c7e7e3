import random


def prices():
    chance, price, drift, series = random.Random(7), 100.0, 0.0, []
    for _ in range(900):
        drift = 0.98 * drift + chance.gauss(0, 0.0007)
        price *= 1 + drift + chance.gauss(0, 0.01)
        series.append(price)
    return series
