"""Fixed: a model that is a script, so that this runs without a key. Put a call to a real one in its place.

As real ones do, it computes better when told to think step by step, is believed only when it is told to be brief, and
follows the case that the prompt asks for.
"""

import os
import random
import re

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_slips = random.Random(int(os.environ.get("SWARM_SEED", "0")))


def complete(prompt: str, question: str) -> str:
    """The model's answer to the question under this prompt."""
    asked = prompt.lower()
    careful = 0.95 if "step by step" in asked else 0.6
    answer = _think(question) if _slips.random() < careful else "I am not sure"
    if "lower case" in asked:
        answer = answer.lower()
    return answer if "only the answer" in asked else f"The answer is {answer}."


def _think(question: str) -> str:
    if sum_ := re.search(r"(\d+) ([+*-]) (\d+)", question):
        a, sign, b = int(sum_[1]), sum_[2], int(sum_[3])
        return str({"+": a + b, "-": a - b, "*": a * b}[sign])
    if number := re.search(r"Is (\d+) a prime", question):
        n = int(number[1])
        return "Yes" if all(n % d for d in range(2, n)) else "No"
    if word := re.search(r"'(\w+)'", question):
        return str(len(word[1]))
    day = next(day for day in DAYS if day in question)
    return DAYS[(DAYS.index(day) + 1) % 7]
