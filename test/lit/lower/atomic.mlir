// tile.atomic_rmw and tile.atomic_cas: relaxed, device scope, once per element.
// RUN: moec-opt %s --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s
// RUN: moec-opt %s --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | moec-translate --target sm_90a --emit ptx - | FileCheck %s --check-prefix=PTX

// CHECK-LABEL: llvm.func @atomics
// Only lanes 0 to 7 of warp 0 own an element.
// CHECK: llvm.cond_br
// CHECK: llvm.atomicrmw add {{.*}} syncscope("device") monotonic : !llvm.ptr<1>, i32
// The old value goes from the owners to all copies, some of which are in other warps.
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK: llvm.atomicrmw fadd {{.*}} syncscope("device") monotonic : !llvm.ptr<1>, f32
// CHECK: llvm.atomicrmw fadd {{.*}} syncscope("device") monotonic : !llvm.ptr<1>, bf16
// A maximum of floats has no instruction: a loop around compare-and-swap, left where nothing would change.
// CHECK: llvm.load {{.*}} atomic syncscope("device") monotonic {{.*}} -> i32
// CHECK: llvm.cmpxchg {{.*}} syncscope("device") monotonic monotonic : !llvm.ptr<1>, i32
// CHECK: llvm.cmpxchg {{.*}} syncscope("device") monotonic monotonic : !llvm.ptr<1>, i64

// PTX: atom.global.add.u32
// PTX: {{(red|atom)}}.global.add.f32
// PTX: {{(red|atom)}}.global.add.noftz.bf16
// PTX: atom.relaxed.gpu.global.cas.b32
// PTX: atom.relaxed.gpu.global.cas.b64
#l = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [0], [0]], warp = [[0], [0]]">
tile.kernel @atomics(%n: !tile.ptr<i32, 16>, %f: !tile.ptr<f32, 16>, %h: !tile.ptr<bf16, 16>, %w: !tile.ptr<i64, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<8xi32, #l>
  %old = tile.atomic_rmw add, %n[%i : tensor<8xi32, #l>], %i : !tile.ptr<i32, 16>, tensor<8xi32, #l> -> tensor<8xi32, #l>
  tile.store %y[%i : tensor<8xi32, #l>], %old : tensor<8xi32, #l> : !tile.ptr<i32, 16>
  %fi = tile.cast %i : tensor<8xi32, #l> -> tensor<8xf32, #l>
  %g = tile.atomic_rmw add, %f[%i : tensor<8xi32, #l>], %fi : !tile.ptr<f32, 16>, tensor<8xf32, #l> -> tensor<8xf32, #l>
  %hi = tile.cast %i : tensor<8xi32, #l> -> tensor<8xbf16, #l>
  %k = tile.atomic_rmw add, %h[%i : tensor<8xi32, #l>], %hi : !tile.ptr<bf16, 16>, tensor<8xbf16, #l> -> tensor<8xbf16, #l>
  %m = tile.atomic_rmw max, %f[%i : tensor<8xi32, #l>], %fi : !tile.ptr<f32, 16>, tensor<8xf32, #l> -> tensor<8xf32, #l>
  %wi = tile.cast %i : tensor<8xi32, #l> -> tensor<8xi64, #l>
  %c = tile.atomic_cas %w[%i : tensor<8xi32, #l>], %wi, %wi : !tile.ptr<i64, 16>, tensor<8xi64, #l>
  tile.return
}
