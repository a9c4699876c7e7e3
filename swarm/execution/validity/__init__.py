"""Whether a run counts: why it gave no number, who is to blame, and whether its number may be believed."""
