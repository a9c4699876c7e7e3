"""Exponential smoothing with a season."""


def forecast(history, config):
    level = history[0]
    for value in history[1:]:
        level = config["smoothing"] * value + (1 - config["smoothing"]) * level
    season = int(config["season"])
    seasonal = history[-season] - sum(history[-season:]) / season
    return config["weights"]["level"] * level + config["weights"]["seasonal"] * seasonal
