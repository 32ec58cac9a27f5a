// Three small kernels as they stand after view lowering: no layout conversion, no shared memory, the widest accesses.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions),tilegpu-allocate-shared,tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts{num-warps=4},tilegpu-remove-conversions))" | FileCheck %s --check-prefix=GPU

// GPU-NOT: tilegpu.convert_layout
// CHECK-NOT: moec_smem

// One row of a weighted SwiGLU: per iteration two loads, one store of 16 bytes, eight approximations, four packed conversions.
// CHECK-LABEL: llvm.func @weighted_swiglu
// CHECK: llvm.cond_br
// CHECK-COUNT-2: llvm.load {{.*}} -> vector<4xi32>
// CHECK-COUNT-8: llvm.nvvm.ex2.approx.ftz.f
// CHECK-COUNT-4: llvm.fptrunc {{.*}} : vector<2xf32> to vector<2xbf16>
// CHECK-NOT: llvm.fptrunc
// CHECK: llvm.store {{.*}} : vector<4xi32>
// CHECK-NOT: llvm.store
tile.kernel @weighted_swiglu(%x: !tile.ptr<bf16, 16>, %w: !tile.ptr<f32, 16>, %y: !tile.ptr<bf16, 16>, %h: i32 {tile.divisor = 16 : i64}) {
  %row = tile.program_id 0
  %c0 = arith.constant 0 : i32
  %c2 = arith.constant 2 : i32
  %bh = arith.constant 1024 : i32
  %h2 = arith.muli %h, %c2 : i32
  %wt = tile.load %w[%row : i32] : !tile.ptr<f32, 16> -> f32
  %wts = tile.splat %wt : f32 -> tensor<1024xf32>
  %ro = arith.muli %row, %h2 : i32
  %xr = tile.addptr %x, %ro : !tile.ptr<bf16, 16>, i32
  %xu = tile.addptr %xr, %h : !tile.ptr<bf16>, i32
  %yo = arith.muli %row, %h : i32
  %yr = tile.addptr %y, %yo : !tile.ptr<bf16, 16>, i32
  %lanes = tile.arange 0 : tensor<1024xi32>
  scf.for %i = %c0 to %h step %bh : i32 {
    %is = tile.splat %i : i32 -> tensor<1024xi32>
    %c = arith.addi %is, %lanes : tensor<1024xi32>
    %g16 = tile.load %xr[%c : tensor<1024xi32>] : !tile.ptr<bf16> -> tensor<1024xbf16>
    %u16 = tile.load %xu[%c : tensor<1024xi32>] : !tile.ptr<bf16> -> tensor<1024xbf16>
    %g = tile.cast %g16 : tensor<1024xbf16> -> tensor<1024xf32>
    %u = tile.cast %u16 : tensor<1024xbf16> -> tensor<1024xf32>
    %s = tile.sigmoid %g : tensor<1024xf32>
    %gs = arith.mulf %g, %s : tensor<1024xf32>
    %gu = arith.mulf %gs, %u : tensor<1024xf32>
    %r = arith.mulf %gu, %wts : tensor<1024xf32>
    %r16 = tile.cast %r : tensor<1024xf32> -> tensor<1024xbf16>
    tile.store %yr[%c : tensor<1024xi32>], %r16 : tensor<1024xbf16> : !tile.ptr<bf16>
  }
  tile.return
}

// -----
// Constants are stored as words; the scatter's three stores share one branch.
// CHECK-LABEL: llvm.func @multihot
// CHECK: llvm.mlir.constant(dense<0.000000e+00> : vector<4xf32>)
// CHECK: nvvm.barrier0
// CHECK: llvm.cond_br
// CHECK-NOT: llvm.cond_br
// CHECK: llvm.store {{.*}} : i8
// CHECK-NEXT: llvm.store {{.*}} : f32
// CHECK-NEXT: llvm.store {{.*}} : i32
tile.kernel @multihot(%idx: !tile.ptr<i64, 16>, %prob: !tile.ptr<f32, 16>, %mh: !tile.ptr<i8, 16>, %pmh: !tile.ptr<f32, 16>, %pos: !tile.ptr<i32, 16>) {
  %k = tile.arange 0 : tensor<8xi32>
  %e = tile.arange 0 : tensor<512xi32>
  %ix = tile.load %idx[%k : tensor<8xi32>] : !tile.ptr<i64, 16> -> tensor<8xi64>
  %pr = tile.load %prob[%k : tensor<8xi32>] : !tile.ptr<f32, 16> -> tensor<8xf32>
  %e64 = arith.constant dense<512> : tensor<8xi64>
  %ok = arith.cmpi ult, %ix, %e64 : tensor<8xi64>
  %zf = arith.constant dense<0.0> : tensor<512xf32>
  tile.store %pmh[%e : tensor<512xi32>], %zf : tensor<512xf32> : !tile.ptr<f32, 16>
  tile.barrier
  %one = arith.constant dense<1> : tensor<8xi8>
  %ix32 = arith.trunci %ix : tensor<8xi64> to tensor<8xi32>
  tile.store %mh[%ix32 : tensor<8xi32>], %one : tensor<8xi8>, mask %ok : tensor<8xi1> : !tile.ptr<i8, 16>
  tile.store %pmh[%ix32 : tensor<8xi32>], %pr : tensor<8xf32>, mask %ok : tensor<8xi1> : !tile.ptr<f32, 16>
  tile.store %pos[%ix32 : tensor<8xi32>], %k : tensor<8xi32>, mask %ok : tensor<8xi1> : !tile.ptr<i32, 16>
  tile.return
}

// -----
// CHECK-LABEL: llvm.func @permute
// CHECK: llvm.load {{.*}} -> vector<4xi32>
// CHECK: llvm.store {{.*}} : vector<4xi32>
tile.kernel @permute(%x: !tile.ptr<bf16, 16>, %src: !tile.ptr<i32, 16>, %y: !tile.ptr<bf16, 16>) {
  %row = tile.program_id 0
  %h = arith.constant 1024 : i64
  %s = tile.load %src[%row : i32] : !tile.ptr<i32, 16> -> i32
  %s64 = arith.extsi %s : i32 to i64
  %row64 = arith.extsi %row : i32 to i64
  %so = arith.muli %s64, %h : i64
  %xr = tile.addptr %x, %so : !tile.ptr<bf16, 16>, i64
  %yo = arith.muli %row64, %h : i64
  %yr = tile.addptr %y, %yo : !tile.ptr<bf16, 16>, i64
  %c = tile.arange 0 : tensor<1024xi32>
  %v = tile.load %xr[%c : tensor<1024xi32>] : !tile.ptr<bf16> -> tensor<1024xbf16>
  tile.store %yr[%c : tensor<1024xi32>], %v : tensor<1024xbf16> : !tile.ptr<bf16>
  tile.return
}
