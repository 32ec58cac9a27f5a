# Installs what the build needs on Debian 12 (as root), and CUDA's headers and libraries from PyPI where there is no toolkit.
moec_packages=(libmlir-22-dev llvm-22-dev mlir-22-tools llvm-22-tools llvm-22 llvm-22-linker-tools clang-22 libclang-rt-22-dev clang-format-22 lld-22
  ninja-build ccache libfmt-dev libgtest-dev libgmock-dev libcli11-dev libbenchmark-dev nlohmann-json3-dev libxxhash-dev libb2-dev
  libdlpack-dev libboost-context-dev ca-certificates cmake g++ git python3 python3-venv python3-pip zlib1g-dev libzstd-dev libxml2-dev
  libcurl4-openssl-dev libedit-dev libffi-dev libpfm4-dev)

install_missing() {
  local missing=() p
  for p in "${moec_packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "install ok installed" || missing+=("$p")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    apt-get update -q >/tmp/moec-apt.log 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >>/tmp/moec-apt.log 2>&1 ||
      { tail -20 /tmp/moec-apt.log; echo "./dev: apt-get failed; the log is /tmp/moec-apt.log (root is needed; LLVM 22 comes from bookworm-security, which apt's sources must name)" >&2; exit 1; }
  fi
  install_cuda
}

# A toolkit's place, or "none" in MOEC_CUDA_ROOT, comes first; then /usr/local/cuda; then NVIDIA's PyPI packages, unpacked under .deps/cuda.
install_cuda() {
  [ -z "${MOEC_CUDA_ROOT:-}" ] || return 0
  [ ! -f /usr/local/cuda/include/cuda.h ] || return 0
  local deps=$PWD/.deps
  [ ! -f "$deps/cuda/.complete.2" ] || return 0
  echo "no CUDA toolkit found: fetching its headers, nvJitLink, NVRTC and libdevice from PyPI (13.0.*)"
  mkdir -p "$deps/wheels" "$deps/cuda"
  python3 -m pip download -q --no-deps --only-binary=:all: -d "$deps/wheels" \
    'nvidia-cuda-runtime==13.0.*' 'nvidia-nvjitlink==13.0.*' 'nvidia-nvvm==13.0.*' 'nvidia-cuda-nvrtc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-cccl==13.0.*' ||
    { echo "./dev: could not fetch NVIDIA's packages; set MOEC_CUDA_ROOT to a toolkit, or to 'none' to build without" >&2; exit 1; }
  python3 - "$deps" <<'PY'
import glob, os, shutil, sys, zipfile
deps = sys.argv[1]
out = os.path.join(deps, "cuda")
for wheel in sorted(glob.glob(os.path.join(deps, "wheels", "*.whl"))):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            parts = name.split("/")                      # nvidia/cu13/<include|lib|nvvm>/...
            if "cccl" in parts:                          # of CCCL only what cuda_fp16.h includes: nv/target
                if parts[2:5] != ["include", "cccl", "nv"]:
                    continue
                parts.remove("cccl")
            if len(parts) > 3 and parts[0] == "nvidia" and not name.endswith("/"):
                path = os.path.join(out, *parts[2:])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with z.open(name) as src, open(path, "wb") as dst:
                    shutil.copyfileobj(src, dst)
open(os.path.join(out, ".complete.2"), "w").close()
PY
  rm -rf "$deps/wheels"
}
