"""LLVM is in libmoec_compiler.so only, and that exports its four functions only. usage: symbols.py COMPILER_LIBRARY FILE..."""
import re
import subprocess
import sys

INSIDE = re.compile(r"\b(llvm|mlir)::")


def symbols(*args):
    return subprocess.run(["nm", *args], check=True, capture_output=True, text=True).stdout.splitlines()


def main(library, *files):
    wrong = []
    if not any(INSIDE.search(s) for s in symbols("-C", library)):
        wrong.append(f"{library} has no symbol of LLVM: is it stripped? Then this test shows nothing")
    for path in files:
        names = symbols("-C", path)
        if len(names) < 50:
            wrong.append(f"{path} has only {len(names)} symbols")
        wrong += [f"{path}: {n}" for n in names if INSIDE.search(n)][:5]
    exported = sorted(line.split()[-1] for line in symbols("-D", "--defined-only", library))
    if exported != ["moec_compiler_compile", "moec_compiler_describe", "moec_compiler_free", "moec_compiler_interpret"]:
        wrong.append(f"{library} exports {exported[:20]}")
    print("\n".join(wrong) or f"{len(files)} files without LLVM; {len(exported)} exports")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
