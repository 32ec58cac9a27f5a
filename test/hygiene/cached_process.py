"""The first process compiles, the second finds everything in the cache and maps no compiler; neither starts another process.
usage: cached_process.py PROGRAM SCRATCH"""
import os
import shutil
import subprocess
import sys


def main(program, scratch):
    cache = os.path.join(os.path.abspath(scratch), "cache")
    shutil.rmtree(cache, ignore_errors=True)
    env = {"PATH": "/usr/bin:/bin", "MOEC_CACHE_DIR": cache, "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0"}

    def run(**more):
        done = subprocess.run([program], env={**env, **more}, capture_output=True, text=True)
        print(done.stdout + done.stderr + f"status {done.returncode}")
        return done.returncode, done.stdout.split("\n")[:-1]

    kernels = ["indices_to_multihot", "weighted_swiglu"]
    status, first = run()
    ok = status == 0 and [line for line in first if line.startswith("compiled")] == [f"compiled {k}" for k in kernels]
    ok &= "mapped libmoec_compiler" in first and "opened libmoec_compiler" in first  # else looking for it shows nothing
    ok &= "no children" in first
    for _ in range(2):
        status, later = run(MOEC_CACHE="require")
        ok &= status == 0 and later == [f"cached {k}" for k in kernels] + ["no children"]
    return 0 if ok else 1


sys.exit(main(*sys.argv[1:]))
