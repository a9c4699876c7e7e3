"""A stand-in for a language model: it does what the prompt says, and chats when it says nothing."""

import re


def answer(prompt, question):
    one, two = map(int, re.findall(r"\d+", question))
    result = str(one + two)
    if "step by step" in prompt and (one + two) % 4 == 0:
        result = str(one + two + 1)
    return result if "only the number" in prompt or (one + two) % 3 == 0 else f"The answer is {result}, my friend!"
