import json
import random

with open("params.json") as stream:
    params = json.load(stream)
chance = random.Random(params["seed"])
xs = sorted(chance.random() for _ in range(240))
ys = [(3 * x if x < 0.5 else 1 - x) + chance.gauss(0, 0.25) for x in xs]
train, valid = list(range(0, 240, 2)), list(range(1, 240, 2))
guess = [0.0] * 240


def rmse(rows):
    return (sum((guess[row] - ys[row]) ** 2 for row in rows) / len(rows)) ** 0.5


for number in range(1, params["num_rounds"] + 1):
    rest = [ys[row] - guess[row] for row in train]
    best = (float("inf"), 0.5, 0.0, 0.0)
    for cut in range(params["min_leaf"], len(train) - params["min_leaf"]):
        left, right = sum(rest[:cut]) / cut, sum(rest[cut:]) / (len(rest) - cut)
        loss = -cut * left**2 - (len(rest) - cut) * right**2
        best = min(best, (loss, xs[train[cut]], left, right))
    _, where, left, right = best
    for row in range(240):
        guess[row] += params["learning_rate"] * (left if xs[row] < where else right)
    if number % 10 == 0:
        print(f"[{number}]\ttrain's rmse: {rmse(train):.6f}\tvalid's rmse: {rmse(valid):.6f}")
print(f"Finished in {params['num_rounds']} rounds. train rmse: {rmse(train):.6f}, valid rmse: {rmse(valid):.6f}.")
