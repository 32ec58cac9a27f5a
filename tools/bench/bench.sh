# ./dev bench WHAT: called with the build folder first.
set -euo pipefail
build=$1; shift
here=$(dirname "${BASH_SOURCE[0]}")
what=${1:-help}; shift || true

# A scratch environment with the peer, outside of git; only benchmarks and tests that read SASS need it.
peer_python() {
  local venv=$PWD/.deps/triton
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import triton' 2>/dev/null; then
    echo "making a scratch environment with triton 3.9.0 in $venv" >&2
    python3 -m venv "$venv" >&2 && "$venv/bin/pip" install -q triton==3.9.0 setuptools >&2
  fi
  echo "$venv/bin/python"
}

case $what in
  compile)
    python=$(peer_python)
    PYTHONPATH=$here "$python" "$here/compile_bench.py" "$build/bin/moec_compile_bench" "$@"
    echo
    "$build/bin/moec_compile_bench" --start "$build/bin/moec_compile_bench" ;;
  ops) exec "$build/bin/moec" bench "$@" ;;
  *) echo "usage: ./dev bench compile [--pairs N] | ./dev bench ops [OP...] [moec bench's options]" >&2; exit 2 ;;
esac
