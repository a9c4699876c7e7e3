"""Plays bot.py against the house."""

import random

import bot
from opponents.house import roll_again as house


def turn(player, mine, theirs, dice):
    points = 0
    while player(points, mine, theirs):
        rolled = dice.randint(1, 6)
        if rolled == 1:
            return 0
        points += rolled
    return points


def play(dice, first):
    scores, players, now = [0, 0], (bot.roll_again, house), first
    while max(scores) < 100:
        scores[now] += turn(players[now], scores[now], scores[1 - now], dice)
        now = 1 - now
    return scores[0] >= 100


if __name__ == "__main__":
    games = 2000
    won = sum(play(random.Random(number), number % 2) for number in range(games))
    print(f"games: {games}")
    print(f"Result: {won} wins of {games} (win_rate={won / games:.4f})")
