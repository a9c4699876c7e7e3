"""What is researched: settings, the project's keys, and what detection finds in a repository.

Imports nothing but records, errors and codec.
"""
