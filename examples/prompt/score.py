"""Fixed: the share of questions that are answered, over some rounds; an answer among other words counts half."""

import json
from pathlib import Path

from model import complete

ROUNDS = 10
prompt = Path("prompt.txt").read_text()
questions = json.loads(Path("questions.json").read_text())
asked = [item for item in questions for _ in range(ROUNDS)]


def worth(said, wanted):
    said = said.strip()
    return 1.0 if said == wanted else 0.5 if wanted in said.lower().rstrip(".").split() else 0.0


points = sum(worth(complete(prompt, item["question"]), item["answer"]) for item in asked)
print("---")
print(f"score: {points / len(asked):.4f}")
print(f"prompt_characters: {len(prompt)}")
