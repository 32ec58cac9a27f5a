"""Where a program of one's own finds libmoec_compiler.so: in a lib folder beside it, or where the loader looks; else it says what to do.
usage: find_compiler.py PROGRAM LIBRARY SCRATCH"""
import os
import shutil
import subprocess
import sys


def main(program, library, scratch):
    scratch, library = os.path.abspath(scratch), os.path.abspath(library)
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch + "/lib")
    mine = shutil.copy(program, scratch)

    def run(**more):
        env = {"PATH": "/usr/bin:/bin", "MOEC_DEVICE": "sim", "MOEC_CACHE": "off", "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0"}
        return subprocess.run([mine], env={**env, **more}, capture_output=True, text=True)

    nowhere = run()
    by_loader = run(LD_LIBRARY_PATH="/nonexistent:" + os.path.dirname(library))
    os.symlink(library, scratch + "/lib/libmoec_compiler.so")
    beside = run()
    for done in nowhere, by_loader, beside:
        print(done.returncode, done.stdout, done.stderr)
    ok = nowhere.returncode != 0 and "link the program with -Wl,-rpath" in nowhere.stderr
    return 0 if ok and by_loader.returncode == 0 and beside.returncode == 0 else 1


sys.exit(main(*sys.argv[1:]))
