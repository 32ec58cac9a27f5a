// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions,tilegpu-pipeline-loops{num-stages=3},cse))" | FileCheck %s
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions,tilegpu-pipeline-loops{num-stages=1}))" | FileCheck %s --check-prefix=ONE

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

// -----
// Rows named by an index: the index is loaded when the copy is issued, masked like it, and fp8 elements are cast when they are read.
// CHECK-LABEL: tile.kernel @gathered
// CHECK: %[[A:.*]] = tilegpu.alloc : <[32, 64] x f8E4M3FN, stages = 3
// CHECK: %[[B:.*]] = tilegpu.alloc : <[32, 64] x f8E4M3FN, stages = 3
// CHECK: scf.for
// CHECK: %[[INDEX:.*]] = tile.load %arg3[%{{.*}}], mask %{{.*}} :
// CHECK: tilegpu.async_copy {{.*}} to %[[A]]
// CHECK: tilegpu.async_copy {{.*}} to %[[B]]
// CHECK: tilegpu.local_load %[[A]]{{.*}} trans : {{.*}} -> tensor<64x32xf8E4M3FN, #tilegpu.dot_operand<0, bits = 8
// CHECK: tile.cast {{.*}} -> tensor<64x32xf16, #tilegpu.dot_operand<0, bits = 8
// CHECK: tilegpu.local_load %[[B]]
// CHECK: tile.cast {{.*}} -> tensor<32x64xf16, #tilegpu.dot_operand<1, bits = 8
// CHECK: tile.dot
// CHECK: scf.yield
tile.kernel @gathered(%a: !tile.ptr<f8E4M3FN, 16>, %b: !tile.ptr<f8E4M3FN, 16>, %c: !tile.ptr<f32, 16>, %ids: !tile.ptr<i32, 16>, %k: i32) {
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %rows = tile.arange 0 : tensor<32xi32>
  %cols = tile.arange 0 : tensor<64xi32>
  %c1 = tile.expand_dims %cols, 0 : tensor<64xi32> -> tensor<1x64xi32>
  %cb = tile.broadcast %c1 : tensor<1x64xi32> -> tensor<32x64xi32>
  %n64 = arith.constant dense<64> : tensor<32xi32>
  %z = arith.constant dense<0.0> : tensor<64x64xf32>
  %d = scf.for %i = %c0 to %k step %c32 iter_args(%acc = %z) -> tensor<64x64xf32> : i32 {
    %is = tile.splat %i : i32 -> tensor<32xi32>
    %at = arith.addi %is, %rows : tensor<32xi32>
    %id = tile.load %ids[%at : tensor<32xi32>] : !tile.ptr<i32, 16> -> tensor<32xi32>
    %ro = arith.muli %id, %n64 : tensor<32xi32>
    %r1 = tile.expand_dims %ro, 1 : tensor<32xi32> -> tensor<32x1xi32>
    %rb = tile.broadcast %r1 : tensor<32x1xi32> -> tensor<32x64xi32>
    %o = arith.addi %rb, %cb : tensor<32x64xi32>
    %so = arith.muli %at, %n64 : tensor<32xi32>
    %s1 = tile.expand_dims %so, 1 : tensor<32xi32> -> tensor<32x1xi32>
    %sb = tile.broadcast %s1 : tensor<32x1xi32> -> tensor<32x64xi32>
    %p = arith.addi %sb, %cb : tensor<32x64xi32>
    %x = tile.load %a[%o : tensor<32x64xi32>] : !tile.ptr<f8E4M3FN, 16> -> tensor<32x64xf8E4M3FN>
    %t = tile.trans %x, [1, 0] : tensor<32x64xf8E4M3FN> -> tensor<64x32xf8E4M3FN>
    %y = tile.load %b[%p : tensor<32x64xi32>] : !tile.ptr<f8E4M3FN, 16> -> tensor<32x64xf8E4M3FN>
    %xh = tile.cast %t : tensor<64x32xf8E4M3FN> -> tensor<64x32xf16>
    %yh = tile.cast %y : tensor<32x64xf8E4M3FN> -> tensor<32x64xf16>
    %n = tile.dot %xh, %yh, %acc : tensor<64x32xf16>, tensor<32x64xf16> -> tensor<64x64xf32>
    scf.yield %n : tensor<64x64xf32>
  }
  %oo = arith.constant dense<0> : tensor<64x64xi32>
  tile.store %c[%oo : tensor<64x64xi32>], %d : tensor<64x64xf32> : !tile.ptr<f32, 16>
  tile.return
}
