import csv
import random

EPOCHS = 10
learning_rate = 0.02
momentum = 0.0

with open("data/houses.csv") as stream:
    table = [(float(row["rooms"]), float(row["age"]), float(row["price"])) for row in csv.DictReader(stream)]
random.Random(0).shuffle(table)
split = len(table) * 3 // 4
weights, speed = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]


def predict(rooms, age):
    return weights[0] * rooms + weights[1] * age / 10 + weights[2]


def rmse(rows):
    return (sum((predict(r, a) - price) ** 2 for r, a, price in rows) / len(rows)) ** 0.5


for epoch in range(1, EPOCHS + 1):
    for rooms, age, price in table[:split]:
        error = predict(rooms, age) - price
        for place, value in enumerate((rooms, age / 10, 1.0)):
            speed[place] = momentum * speed[place] - learning_rate * error * value / 10
            weights[place] += speed[place]
    print(f"Epoch {epoch:2d}/{EPOCHS} - train_rmse: {rmse(table[:split]):.4f} - val_rmse: {rmse(table[split:]):.4f}")
