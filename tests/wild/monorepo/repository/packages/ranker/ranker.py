TITLE_WEIGHT = 0.0
BODY_WEIGHT = 1.0


def score(query, title, body):
    return sum(TITLE_WEIGHT * title.count(word) + BODY_WEIGHT * body.count(word) for word in query)
