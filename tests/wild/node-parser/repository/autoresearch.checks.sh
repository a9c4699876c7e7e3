#!/bin/bash
set -e
node test.js
