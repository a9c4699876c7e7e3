"""When to stop rolling in the dice game Pig."""

HOLD_AT = 9


def roll_again(turn: int, mine: int, theirs: int) -> bool:
    if mine + turn >= 100:
        return False
    return turn < HOLD_AT
