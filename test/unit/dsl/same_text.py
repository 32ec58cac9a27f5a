#!/usr/bin/env python3
"""Runs two programs and compares what they print. usage: same_text.py PROGRAM OTHER"""
import subprocess
import sys

a, b = (subprocess.run([p], check=True, capture_output=True, text=True).stdout.splitlines() for p in sys.argv[1:])
for i, (x, y) in enumerate(zip(a, b)):
    if x != y:
        sys.exit(f"line {i + 1} differs:\n  {x}\n  {y}")
if len(a) != len(b) or len(a) < 100:
    sys.exit(f"{len(a)} lines and {len(b)} lines")
print(f"{len(a)} equal lines")
