"""Where a run happens: plain folders, a guarded process tree, one GPU."""
