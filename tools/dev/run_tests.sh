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
ops=(indices_to_multihot indices_to_multihot_unfused multihot_to_indices permute unpermute weighted_swiglu grouped_mm
  permute_tokens_for_grouped_mm unsloth_calculate_topk unsloth_routing_permute)
layers=(t37_d64_i96_e8_k2_swiglu t24_d32_i48_e8_k2_swiglu_empty t20_d32_i32_e8_k2_swiglu_torchmm t16_d32_i32_e8_k2_swiglu_bf16 t6_d16_i8_e4_k2_swiglu_small)
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
cases=("${ops[@]/#/$MOEC_TEST_GOLDEN/}")
for layer in "${layers[@]}"; do cases+=("$MOEC_TEST_GOLDEN/moe_experts_e2e/$layer.safetensors"); done
for device in "${devices[@]}"; do
  check "recorded cases on $device" "$here/bin/moec" verify -q --device "$device" "${cases[@]}"
done
check "the layer" "$here/bin/moec_layer_demo" --device "${devices[0]}" --golden "$MOEC_TEST_GOLDEN"
for test in runtime launch kernels ops; do
  check "$test" "$here/bin/${test}_test"
done
echo
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "all passed on ${devices[*]}"
