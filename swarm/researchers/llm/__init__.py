"""Language models as researchers: one dialogue with tools, whatever service answers it."""
