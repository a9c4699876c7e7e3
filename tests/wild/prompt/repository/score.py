import json
import sys
from pathlib import Path

from model import answer

prompt = Path(sys.argv[1]).read_text().strip()
if not prompt:
    raise SystemExit("the prompt is empty")
questions = json.loads(Path("questions.json").read_text())
right = 0
for number, item in enumerate(questions, 1):
    right += answer(prompt, item["question"]) == item["answer"]
    print(f"question {number}/{len(questions)}: exact_match so far {100 * right / number:.1f}%")
print(f"**exact_match**: {100 * right / len(questions):.1f}%")
