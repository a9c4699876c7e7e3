#!/usr/bin/env bash
set -euo pipefail
python3 mars.py warrior.red stones
