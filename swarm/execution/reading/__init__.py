"""Reads what a run printed or left in files: foreign text, of which nothing is believed but what is certain."""
