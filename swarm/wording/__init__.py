"""What a snapshot says, in words and in written numbers: the same in a terminal, in Markdown and in a browser."""
