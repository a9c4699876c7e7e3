"""A small core: two programs bomb cells in turn; who bombs a cell of the other's program wins."""

import random
import sys
from pathlib import Path

CORE, ROUNDS = 101, 120


class Warrior:
    def __init__(self, path):
        lines = [line.partition(";")[0].split() for line in path.read_text().splitlines()]
        settings = {words[0]: int(words[1]) for words in lines if words and words[0] in ("step", "first")}
        self.step, self.first = settings["step"], settings["first"]
        self.program = [words for words in lines if words and words[0] in ("add", "bomb", "jump")]
        if not self.program:
            raise SystemExit(f"{path}: no program")

    def start(self, place):
        self.place, self.now, self.target = place, 0, self.first
        self.cells = {(place + offset) % CORE for offset in range(len(self.program))}

    def turn(self):
        words, self.now = self.program[self.now], (self.now + 1) % len(self.program)
        if words[0] == "add":
            self.target += self.step
        elif words[0] == "jump":
            self.now = int(words[1]) % len(self.program)
        else:
            return (self.place + self.target) % CORE
        return None


def fight(one, two, seed):
    one.start(0)
    two.start(random.Random(seed).randrange(10, CORE - 10))
    for _ in range(ROUNDS):
        for own, other in ((one, two), (two, one)):
            hit = own.turn()
            if hit is not None and hit in own.cells:
                return 0 if own is one else 3
            if hit is not None and hit in other.cells:
                return 3 if own is one else 0
    return 1


mine = Warrior(Path(sys.argv[1]))
results = []
for number, path in enumerate(sorted(Path(sys.argv[2]).glob("*.red"))):
    results += [fight(mine, Warrior(path), 100 * number + seed) for seed in range(34)]
print(f"{len(results)} fights")
print(f"METRIC score={sum(results)}")
print(f"METRIC ties={results.count(1)}")
print(f"METRIC cycles={ROUNDS}")
