# ./dev dist: packs what runs on an x86-64 machine with nothing but glibc (and a driver, for a GPU): dist/moec-<version>.tar.xz.
# usage: dist.sh [--no-build]   (from the repository's root)
set -euo pipefail
root=$PWD
build=$root/build-release
version=$(sed -n 's/^project(moec VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
bundle=$root/dist/moec-$version
programs=(moec moec-opt moec_layer_demo own_kernel {runtime,launch,ops,testing,kernels,gradcheck,determinism,bad_input,bench}_test)
libraries=(libmoec_compiler.so libfake_{cuda,cublas,compiler}.so) # the stand-ins: tests open them
limit=$((64 * 1024 * 1024))

if [ "${1:-}" != --no-build ]; then
  MOEC_PRESET=release bash tools/dev/dev.sh build "${programs[@]}" moec_compiler fake_{cuda,cublas,compiler}
fi

rm -rf "$bundle" "$bundle.tar.xz"
mkdir -p "$bundle/bin" "$bundle/lib" "$bundle/test"
for p in "${programs[@]}"; do cp "$build/bin/$p" "$bundle/bin/"; done
for l in "${libraries[@]}"; do cp "$build/lib/$l" "$bundle/lib/"; done
strip --strip-unneeded "$bundle"/bin/* "$bundle"/lib/*
cp -r test/golden "$bundle/test/golden"
cp tools/dev/run_tests.sh "$bundle/run_tests.sh"
chmod +x "$bundle/run_tests.sh"

# For programs of one's own: the public headers with all that they include, and one archive with what moec links.
for header in $(g++ -std=c++20 -MM -I. -Iinclude include/moec/*.h | tr -d '\\' | tr ' ' '\n' | grep '\.h$' | sort -u); do
  install -D -m 644 "$header" "$bundle/include/${header#include/}"
done
archives=("$build"/lib/libmoec_{dsl,sim,runtime,kernels,fmt}.a)
for name in XXHASH B2 BOOST_CONTEXT; do archives+=("$(sed -n "s/^MOEC_$name:FILEPATH=//p" "$build/CMakeCache.txt")"); done
{ echo "CREATE $bundle/lib/libmoec.a"; printf 'ADDLIB %s\n' "${archives[@]}"; echo SAVE; echo END; } | ar -M
strip --strip-debug "$bundle/lib/libmoec.a"
install -D -m 644 -t "$bundle/examples" examples/{own_kernel,own_kernel_test,experts_layer}.cpp
install -m 644 cmake/bundle_examples.cmake "$bundle/examples/CMakeLists.txt"
install -D -m 644 -t "$bundle/lib/cmake/moec" cmake/moec-config.cmake
cp -r README.md docs "$bundle/"

# As the examples say: by hand in the bundle's folder, and with the CMake package from another one.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export MOEC_CACHE_DIR=$scratch/cache
(cd "$bundle" && g++ -std=c++20 -Iinclude examples/own_kernel.cpp lib/libmoec.a -ldl -pthread -o own_kernel &&
  MOEC_DEVICE=sim ./own_kernel && rm own_kernel)
cmake -S "$bundle/examples" -B "$scratch/build" >/dev/null
cmake --build "$scratch/build" --parallel >/dev/null
MOEC_DEVICE=sim ctest --test-dir "$scratch/build" --output-on-failure

# Nothing but glibc, and no path of this machine.
for f in "$bundle"/bin/* "$bundle"/lib/*.so; do
  strange=$(readelf -d "$f" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libdl|libpthread|librt|ld-linux-x86-64)\.so\.[0-9]+$' || true)
  [ -z "$strange" ] || { echo "./dev dist: $f needs $strange" >&2; exit 1; }
  if readelf -d "$f" | grep -qE 'R(UN)?PATH'; then echo "./dev dist: $f has a path of this machine" >&2; exit 1; fi
done

tar -C "$root/dist" -c "moec-$version" | xz -T2 -6 >"$bundle.tar.xz"
bytes=$(stat -c %s "$bundle.tar.xz")
[ "$bytes" -le "$limit" ] || { echo "./dev dist: $bundle.tar.xz has $bytes bytes, more than $limit" >&2; exit 1; }
echo "$bundle.tar.xz: $((bytes / 1024)) KiB; unpack it anywhere and run run_tests.sh there (MOEC_DEVICE=cuda: on the GPU)"
