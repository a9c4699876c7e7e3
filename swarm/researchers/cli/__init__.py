"""Coding programs as researchers: Claude Code, and any command that reads a prompt."""
