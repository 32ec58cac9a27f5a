#!/usr/bin/env bash
# The bundle's tests, on any x86-64 machine. MOEC_DEVICE=cuda runs them on the GPU; without it, on the simulated GPU and the interpreter.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export MOEC_TEST_GOLDEN=$here/test/golden
scratch=$(mktemp -d)
chmod 711 "$scratch" # a test becomes another user
trap 'rm -rf "$scratch"' EXIT
export HOME=${HOME:-$scratch} MOEC_CACHE_DIR=${MOEC_CACHE_DIR:-$scratch/cache} TMPDIR=${TMPDIR:-$scratch}
devices=(sim interp)
[ -z "${MOEC_DEVICE:-}" ] || devices=("$MOEC_DEVICE")
# What needs several ranks.
ranks=token_dispatcher,allgather_concat_varlen,deepep_manager_padded,dispatcher_initialize_metadata,grouped_experts_ep,grouped_experts_deepep,hybridep_metadata
failed=()
check() {
  local what=$1
  shift
  echo "== $what"
  "$@" >"$scratch/log" 2>&1
  local status=$?
  tail -n 3 "$scratch/log"
  if [ $status -ne 0 ]; then
    tail -n 60 "$scratch/log"
    failed+=("$what")
  fi
}

"$here/bin/moec" doctor || true
for device in "${devices[@]}"; do
  check "recorded cases on $device" "$here/bin/moec" verify -q --strict --device "$device" --except "$ranks" "$MOEC_TEST_GOLDEN"
done
check "the layer" "$here/bin/moec_layer_demo" --device "${devices[0]}" --golden "$MOEC_TEST_GOLDEN"
check "a program of one's own" "$here/bin/own_kernel"
for test in runtime launch ops testing kernels gradcheck determinism bad_input bench; do
  check "$test" "$here/bin/${test}_test"
done
echo
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "all passed on ${devices[*]}"
