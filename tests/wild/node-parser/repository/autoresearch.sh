#!/bin/bash
set -e
node bench.js
