"""The head: starts Ray, places the board and one agent per slot, supervises, projects, drains, stops."""
