"""Who may include whom (docs/architecture.md): reads the #include lines of every source. usage: includes.py ROOT"""
import os
import re
import sys

OURS = ("dsl", "runtime", "kernels", "compiler", "tools", "test", "examples", "moec")
STANDARD = re.compile(r"^(c?[a-z_]+|[a-z]+_[a-z_]+)$")  # <vector>, <cstdint>: no folder, no suffix
SYSTEM = re.compile(r"^(sys/[a-z]+\.h|(dirent|dlfcn|fcntl|unistd|sched|elf|link|poll|time|limits|signal|pthread|ucontext|pwd|errno|math|string|stdint|stddef)\.h)$")
LLVM = re.compile(r"^(llvm|mlir|clang)(-c)?/")

# Folder, the longest first: what of ours it may include, and which outside headers beyond the standard library and POSIX.
RULES = [
    ("include/moec", ["dsl/", "runtime/", "kernels/"], []),
    ("dsl", ["dsl/"], [r"fmt/"]),
    ("runtime/sim", ["runtime/sim/"], [r"boost/context/", r"x86intrin\.h", r"immintrin\.h", r"cpuid\.h", r"sanitizer/"]),
    ("runtime", ["dsl/", "runtime/", "compiler/compiler.h"], [r"fmt/", r"nlohmann/", r"xxhash\.h", r"blake2\.h", r"cuda\.h", r"dlpack/"]),
    ("kernels", ["dsl/", "runtime/", "kernels/", "moec/"], [r"fmt/"]),
    ("compiler/layout", ["compiler/layout/"], []),
    ("compiler", ["compiler/", "runtime/sim/sim_abi.h"], [r"fmt/", r"immintrin\.h"]),
]
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Headers that a user's file may include, and with them all that these include: they name neither fmt nor any other library.
ENTRIES = ["include/moec/moec.h", "include/moec/moe.h", "include/moec/testing.h", "kernels/registry.h", "kernels/verify.h", "kernels/kernel_table.h",
           "kernels/specializations.h", "runtime/cache.h", "runtime/compiler_library.h"]


def included_by(root, entries):
    found, todo = set(), list(entries)
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        with open(os.path.join(root, path), encoding="utf-8") as file:
            headers = [m.group(2) for m in map(INCLUDE.match, file) if m]
        todo += [h for h in headers if h.endswith(".h") and os.path.exists(os.path.join(root, h))]
        todo += ["include/" + h for h in headers if h.startswith("moec/")]
    return found


def wrong(path, header, quoted, public):
    """Why `path` may not include `header`, or None."""
    folder, ours, outside = next(((f, o, x) for f, o, x in RULES if path.startswith(f + "/")), (None, [], []))
    if folder is None:
        return None
    if LLVM.match(header):
        if folder == "compiler":
            return None
        return f"{folder}/ has no LLVM in it"
    first = header.split("/")[0]
    if first in OURS and "/" in header:
        return None if any(header.startswith(o) for o in ours) else f"{folder}/ may include {', '.join(ours)}"
    if quoted and "/" not in header:
        return None if path.startswith("compiler/") and header.endswith(".inc") else "write the path from the repository's root"
    if STANDARD.match(header) or SYSTEM.match(header):
        return None
    if header.endswith(".inc") and first in ("compiler", "dsl"):
        return None
    if any(re.match(x, header) for x in outside):
        return f"{path} is public" if path in public else None
    return f"{folder}/ does not use {first}"


def main(root):
    public = included_by(root, ENTRIES)
    # The rules themselves: each of these must be refused.
    for path, header in [("dsl/ops.h", "runtime/tensor.h"), ("dsl/ops.h", "fmt/format.h"), ("dsl/ops.cpp", "llvm/ADT/StringRef.h"), ("runtime/jit.cpp", "mlir/IR/Builders.h"),
                         ("runtime/jit.cpp", "compiler/pipeline.h"), ("runtime/jit.cpp", "kernels/moe.h"), ("runtime/tensor.h", "dlpack/dlpack.h"), ("kernels/topk.cpp", "compiler/compiler.h"),
                         ("compiler/layout/F2.h", "llvm/ADT/APInt.h"), ("compiler/pipeline.cpp", "runtime/jit.h"), ("runtime/sim/fiber.cpp", "runtime/tensor.h"),
                         ("runtime/graph.h", "cuda.h"), ("kernels/gate.h", "fmt/format.h")]:
        if not wrong(path, header, True, public):
            sys.exit(f"the check lets {path} include {header}")
    bad = files = 0
    for folder in ("include/moec", "dsl", "runtime", "kernels", "compiler"):
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if not name.endswith((".h", ".cpp", ".c")):
                    continue
                files += 1
                path = os.path.relpath(os.path.join(where, name), root)
                for number, line in enumerate(open(os.path.join(where, name), encoding="utf-8"), 1):
                    found = INCLUDE.match(line)
                    why = found and wrong(path, found.group(2), found.group(1) == '"', public)
                    if why:
                        bad += 1
                        print(f"{path}:{number}: includes {found.group(2)}: {why}")
    print(f"{files} files, {len(public)} of them public headers, {bad} wrong includes")
    return 1 if bad or files < 100 else 0


sys.exit(main(*sys.argv[1:]))
