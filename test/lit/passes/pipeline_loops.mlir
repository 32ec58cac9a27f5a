// RUN: moec-opt %s --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions,tilegpu-pipeline-loops{num-stages=3},cse))" | FileCheck %s
// RUN: moec-opt %s --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions,tilegpu-pipeline-loops{num-stages=1}))" | FileCheck %s --check-prefix=ONE

// ONE-NOT: tilegpu.async

// Both operands are copied two iterations ahead into three stages; B, whose rows are columns in memory, is loaded transposed.
// CHECK-LABEL: tile.kernel @gemm
// CHECK: %[[A:.*]] = tilegpu.alloc : <[64, 32] x bf16, stages = 3
// CHECK: %[[B:.*]] = tilegpu.alloc : <[64, 32] x bf16, stages = 3
// CHECK-COUNT-4: tilegpu.async_copy
// CHECK: scf.for {{.*}} iter_args(%[[ACC:.*]] = %{{.*}}, %[[READ:.*]] = %{{.*}}, %[[FILL:.*]] = %{{.*}})
// CHECK-NEXT: tilegpu.async_wait 1
// CHECK: tilegpu.async_copy {{.*}} to %[[A]][%[[FILL]]]
// CHECK: tilegpu.async_copy {{.*}} to %[[B]][%[[FILL]]]
// CHECK: tilegpu.async_commit
// CHECK: %[[X:.*]] = tilegpu.local_load %[[A]][%[[READ]]] :
// CHECK: %[[Y:.*]] = tilegpu.local_load %[[B]][%[[READ]]] trans :
// CHECK: tile.dot %[[X]], %[[Y]], %[[ACC]]
// CHECK-NOT: tile.load
// CHECK: tilegpu.async_wait 0
tile.kernel @gemm(%a: !tile.ptr<bf16, 16>, %b: !tile.ptr<bf16, 16>, %c: !tile.ptr<f32, 16>, %k: i32) {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %rows = tile.arange 0 : tensor<64xi32>
  %r1 = tile.expand_dims %rows, 1 : tensor<64xi32> -> tensor<64x1xi32>
  %ks = tile.splat %k : i32 -> tensor<64x1xi32>
  %r = arith.muli %r1, %ks : tensor<64x1xi32>
  %rb = tile.broadcast %r : tensor<64x1xi32> -> tensor<64x32xi32>
  %cols = tile.arange 0 : tensor<32xi32>
  %c1 = tile.expand_dims %cols, 0 : tensor<32xi32> -> tensor<1x32xi32>
  %z = arith.constant dense<0.0> : tensor<64x64xf32>
  %d = scf.for %i = %c0 to %k step %c32 iter_args(%acc = %z) -> tensor<64x64xf32> : i32 {
    %is = tile.splat %i : i32 -> tensor<1x32xi32>
    %ic = arith.addi %is, %c1 : tensor<1x32xi32>
    %ib = tile.broadcast %ic : tensor<1x32xi32> -> tensor<64x32xi32>
    %o = arith.addi %rb, %ib : tensor<64x32xi32>
    %x = tile.load %a[%o : tensor<64x32xi32>] : !tile.ptr<bf16, 16> -> tensor<64x32xbf16>
    %y = tile.load %b[%o : tensor<64x32xi32>] : !tile.ptr<bf16, 16> -> tensor<64x32xbf16>
    %t = tile.trans %y, [1, 0] : tensor<64x32xbf16> -> tensor<32x64xbf16>
    %n = tile.dot %x, %t, %acc : tensor<64x32xbf16>, tensor<32x64xbf16> -> tensor<64x64xf32>
    scf.yield %n : tensor<64x64xf32>
  }
  %oo = arith.constant dense<0> : tensor<64x64xi32>
  tile.store %c[%oo : tensor<64x64xi32>], %d : tensor<64x64xf32> : !tile.ptr<f32, 16>
  tile.return
}
