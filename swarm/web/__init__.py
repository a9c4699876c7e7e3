"""A swarm in a browser: report.html, one file that needs nothing else, and `swarm serve`, the same page, live."""
