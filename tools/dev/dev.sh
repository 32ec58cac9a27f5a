# The body of ./dev, run from the repository's root.
set -euo pipefail
root=$PWD
preset=${MOEC_PRESET:-dev}
case $preset in dev) build=$root/build ;; *) build=$root/build-$preset ;; esac
source tools/dev/install.sh

configure() {
  install_missing
  export CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  # Once, and again when the environment asks for another toolkit than last time's.
  if [ ! -f "$build/build.ninja" ] || { [ -n "${MOEC_CUDA_ROOT:-}" ] && ! grep -qsxF "MOEC_CUDA_ROOT:STRING=$MOEC_CUDA_ROOT" "$build/CMakeCache.txt"; }; then
    cmake --preset "$preset" ${MOEC_CUDA_ROOT:+"-DMOEC_CUDA_ROOT:STRING=$MOEC_CUDA_ROOT"} >"$root/.cmake.log" 2>&1 || { cat "$root/.cmake.log"; exit 1; }
    rm -f "$root/.cmake.log"
  fi
}

# Several shells may build at once: one ninja at a time.
build() {
  configure
  exec 9>"$build/.lock"; flock 9
  ninja -C "$build" "$@"
  flock -u 9
}

cmd_build() { build "$@"; }
cmd_run() { build moec_layer_demo moec; "$build/bin/moec_layer_demo" "$@"; }
cmd_test() {
  build
  ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 3000 -j "$(nproc)" "$@"
}
cmd_clean() { rm -rf build build-release build-asan dist; }
cmd_format() { install_missing; git ls-files -z '*.cpp' '*.h' '*.c' | xargs -0 clang-format-22 -i; }
cmd_bench() { build; exec bash tools/bench/bench.sh "$build" "$@"; }
cmd_dist() { exec bash tools/dev/dist.sh "$@"; }
cmd_help() {
  cat <<'TXT'
usage: ./dev COMMAND [args]

  run [args]      install what is missing, build, and run the main job: a MoE layer, every kernel JIT-compiled from C++
  test [args]     build, then run all tests (args go to ctest, e.g. -R sim)
  build [target]  install what is missing and build (into build/; MOEC_PRESET=release|asan for the other presets)
  bench WHAT      benchmarks: compile (beside Triton), ops (moec bench)
  dist            pack a bundle that runs on an x86-64 machine with nothing but a driver
  format          clang-format over all C and C++ files
  clean           remove build trees
  help            this text
TXT
}

command=${1:-help}; shift || true
case $command in
  build|run|test|clean|format|bench|dist|help) "cmd_$command" "$@" ;;
  -h|--help) cmd_help ;;
  *) echo "./dev: unknown command '$command'; './dev help' lists them" >&2; exit 2 ;;
esac
