import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "common"))

from ranker import score
from text import words

DOCUMENTS = [
    ("Keeping bees", "How bees live, and honey."),
    ("Honey cake", "Flour, butter, honey and honey and honey."),
    ("Bread", "Flour, water, salt; bees are not needed, bees, bees."),
    ("Salt", "Salt from the sea, salt from mines, bread."),
]
JUDGED = {"bees": {0: 3, 2: 1}, "honey": {1: 3, 0: 1}, "bread": {2: 3, 3: 1}, "flour bread": {2: 3, 1: 2}}

total = 0.0
for query, wanted in JUDGED.items():
    scores = [score(words(query), words(title), words(body)) for title, body in DOCUMENTS]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[:3]
    gained = sum(wanted.get(document, 0) / math.log2(place + 2) for place, document in enumerate(order))
    best = sum(grade / math.log2(place + 2) for place, grade in enumerate(sorted(wanted.values(), reverse=True)))
    total += gained / best
print(f"queries: {len(JUDGED)}")
print(f"ndcg@3: {total / len(JUDGED):.4f}")
