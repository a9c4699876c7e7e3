def roll_again(turn, mine, theirs):
    return turn < 15 and mine + turn < 100
