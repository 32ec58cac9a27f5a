#!/usr/bin/env python3
"""Files that must not compile: with -DMISTAKE each fails with the message in its first line, without it each compiles.

usage: no_compile.py COMPILER INCLUDE_DIR FOLDER
"""
import glob
import os
import re
import subprocess
import sys


def main():
    compiler, include, folder = sys.argv[1:]
    failed, files = 0, sorted(glob.glob(os.path.join(folder, "*.cpp")))
    for path in files:
        expect = re.match(r"// expect: (.*)", open(path).readline()).group(1)
        run = lambda *more: subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-I", include, *more, path], capture_output=True, text=True)
        good, bad = run(), run("-DMISTAKE")
        problem = None
        if good.returncode:
            problem = "does not compile without its mistake:\n" + good.stderr
        elif not bad.returncode:
            problem = "compiles with its mistake"
        elif not re.search(expect, bad.stderr):
            problem = f"fails without saying {expect!r}:\n" + bad.stderr
        elif os.path.basename(path) not in bad.stderr:
            problem = "the message does not name the user's file:\n" + bad.stderr
        if problem:
            failed += 1
            print(f"{path}: {problem}")
    print(f"{len(files) - failed} of {len(files)} mistakes are refused by {compiler}")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
