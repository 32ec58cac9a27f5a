"""MOEC_CUDA_ROOT chooses the toolkit, or none, at each configure. usage: cuda_root.py CMAKE cuda.cmake SCRATCH"""
import os
import shutil
import subprocess
import sys

cmake, module, scratch = sys.argv[1:]
shutil.rmtree(scratch, ignore_errors=True)
source, build = os.path.join(scratch, "project"), os.path.join(scratch, "build")
os.makedirs(source)
with open(os.path.join(source, "CMakeLists.txt"), "w") as f:
    f.write(f"cmake_minimum_required(VERSION 3.25)\nproject(probe LANGUAGES NONE)\ninclude({module})\n"
            'message(STATUS "found: ${MOEC_CUDA_INCLUDE}|${MOEC_LIBDEVICE}|${MOEC_NVJITLINK}")\n')


def toolkit(name):
    """A folder that looks like a toolkit."""
    root = os.path.join(scratch, name)
    found = [os.path.join(root, p) for p in ("include/cuda.h", "nvvm/libdevice/libdevice.10.bc", "lib64/libnvJitLink.so.13")]
    for path in found:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w").close()
    return root, "|".join([os.path.dirname(found[0])] + found[1:])


def configure(expected, *arguments, fresh=False, **environment):
    """Configures, in the build folder of last time unless `fresh`, and expects a line of the output."""
    if fresh:
        shutil.rmtree(build, ignore_errors=True)
    env = {k: v for k, v in os.environ.items() if k not in ("MOEC_CUDA_ROOT", "CUDA_HOME")} | environment
    run = subprocess.run([cmake, "-G", "Ninja", "-S", source, "-B", build, *arguments], env=env, capture_output=True, text=True)
    text = " ".join((run.stdout + run.stderr).split())
    if expected not in text:
        sys.exit(f"cmake {' '.join(arguments)} {environment}: expected '{expected}' in\n{run.stdout}{run.stderr}")


(first, in_first), (second, in_second) = toolkit("first"), toolkit("second")
missing = os.path.join(scratch, "missing")
configure(f"found: {in_first}", f"-DMOEC_CUDA_ROOT={first}", fresh=True)
configure(f"found: {in_first}")  # stays
configure(f"found: {in_second}", f"-DMOEC_CUDA_ROOT={second}")
configure("CUDA: none, as asked -- found: ||", "-DMOEC_CUDA_ROOT=none")
configure("found: ||", MOEC_CUDA_ROOT=first)  # the cache comes before the environment; ./dev passes its value as -D
configure("CUDA: none, as asked", fresh=True, MOEC_CUDA_ROOT="none")
configure("CUDA: none, as asked")
configure(f"found: {in_second}", fresh=True, MOEC_CUDA_ROOT=second)
for arguments, environment in (([f"-DMOEC_CUDA_ROOT={missing}"], {}), ([], {"MOEC_CUDA_ROOT": missing})):
    configure(f"MOEC_CUDA_ROOT={missing}: there is no include/cuda.h; give a CUDA toolkit's folder, or 'none' to build without",
              *arguments, fresh=True, **environment)
