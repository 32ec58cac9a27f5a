"""Every header that a user may include compiles alone, without warnings, with nothing but the repository on the include path (and the op table that the build makes).
usage: headers_alone.py COMPILER ROOT BUILD SCRATCH"""
import concurrent.futures
import os
import shutil
import subprocess
import sys


def main(compiler, root, build, scratch):
    os.makedirs(scratch, exist_ok=True)
    headers = ["compiler/compiler.h", "runtime/sim/sim_abi.h", "runtime/sim/executor.h"]
    for folder in ("include/moec", "dsl", "runtime", "kernels"):
        headers += sorted(f"{folder}/{name}" for name in os.listdir(os.path.join(root, folder)) if name.endswith(".h"))
    cached = [shutil.which("ccache")] if shutil.which("ccache") else []

    def compile(header):
        stem = os.path.join(scratch, header.replace("/", "_"))
        with open(stem + ".cpp", "w") as out:  # twice: it has an include guard
            out.write(f'#include "{header}"\n#include "{header}"\n')
        command = [*cached, compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", root, "-I", os.path.join(root, "include"), "-I", build, "-c", stem + ".cpp", "-o", stem + ".o"]
        done = subprocess.run(command, capture_output=True, text=True)
        return f"{header}: {done.stderr}" if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(compile, headers) if text]
    print("\n".join(wrong))
    print(f"{len(headers)} headers, {len(wrong)} wrong")
    return 1 if wrong or len(headers) < 20 else 0


sys.exit(main(*sys.argv[1:]))
