#!/usr/bin/env python3
"""Files that must not compile: with -DMISTAKE each fails with the message in its first line, without it each compiles.

usage: no_compile.py COMPILER INCLUDE_DIR FOLDER
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys


def main():
    compiler, include, folder = sys.argv[1:]
    files = sorted(glob.glob(os.path.join(folder, "*.cpp")))

    def problem(path):
        expect = re.match(r"// expect: (.*)", open(path).readline()).group(1)
        run = lambda *more: subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-I", include, *more, path], capture_output=True, text=True)
        good, bad = run(), run("-DMISTAKE")
        if good.returncode:
            return "does not compile without its mistake:\n" + good.stderr
        if not bad.returncode:
            return "compiles with its mistake"
        if not re.search(expect, bad.stderr):
            return f"fails without saying {expect!r}:\n" + bad.stderr
        if os.path.basename(path) not in bad.stderr:
            return "the message does not name the user's file:\n" + bad.stderr
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [(path, text) for path, text in zip(files, pool.map(problem, files)) if text]
    for path, text in problems:
        print(f"{path}: {text}")
    failed = len(problems)
    print(f"{len(files) - failed} of {len(files)} mistakes are refused by {compiler}")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
