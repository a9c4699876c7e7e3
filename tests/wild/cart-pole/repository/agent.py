GAIN_ANGLE = 1.0
GAIN_SPIN = 0.0
GAIN_PLACE = 0.0


def act(place, speed, angle, spin):
    return 1 if GAIN_ANGLE * angle + GAIN_SPIN * spin + GAIN_PLACE * (place + speed) > 0 else 0
