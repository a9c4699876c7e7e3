import argparse
import json

import yaml

from forecast.model import forecast
from forecast.series import demand

parser = argparse.ArgumentParser()
parser.add_argument("--config", default="config.yaml")
with open(parser.parse_args().config) as stream:
    config = yaml.safe_load(stream)
series = demand()
for split, days in (("train", range(60, 200)), ("test", range(200, 280))):
    errors = []
    for day in days:
        guess = forecast(series[:day], config)
        errors.append(200 * abs(guess - series[day]) / (abs(guess) + abs(series[day])))
    print(json.dumps({"split": split, "smape": round(sum(errors) / len(errors), 4), "n": len(errors)}))
