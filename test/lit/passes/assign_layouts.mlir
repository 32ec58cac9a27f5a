// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts,tilegpu-remove-conversions))" | FileCheck %s
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-assign-layouts))" | FileCheck %s --check-prefix=RAW

// bf16 is the narrowest access of this shape: 8 neighbours per thread, for the f32 tiles too. No conversion.
// CHECK-LABEL: tile.kernel @elementwise
// CHECK: tile.arange 0 : tensor<1024xi32, #tilegpu.blocked<size = [8], threads = [32], warps = [4], order = [0]>>
// CHECK: tile.load {{.*}} -> tensor<1024xf32, #tilegpu.blocked<size = [8], threads = [32], warps = [4], order = [0]>>
// CHECK-NOT: tilegpu.convert_layout
// CHECK: tile.return
tile.kernel @elementwise(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<1024xi32>
  %v = tile.load %x[%i : tensor<1024xi32>] : !tile.ptr<f32, 16> -> tensor<1024xf32>
  %r = tile.cast %v : tensor<1024xf32> -> tensor<1024xbf16>
  tile.store %y[%i : tensor<1024xi32>], %r : tensor<1024xbf16> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
// Fewer elements than threads: one each, the rest holds copies.
// CHECK-LABEL: tile.kernel @small
// CHECK: tile.arange 0 : tensor<8xi32, #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>>
tile.kernel @small(%x: !tile.ptr<i64, 16>) {
  %i = tile.arange 0 : tensor<8xi32>
  %z = arith.constant dense<0> : tensor<8xi64>
  tile.store %x[%i : tensor<8xi32>], %z : tensor<8xi64> : !tile.ptr<i64, 16>
  tile.return
}

// -----
// A row's value for all its columns: the load takes a slice of the whole tile's layout; the same arange serves rows and columns.
// CHECK-LABEL: tile.kernel @rows_and_columns
// CHECK: tile.load %arg0[{{.*}} -> tensor<64xf32, #tilegpu.slice<dim = 1, size = 1, parent = #tilegpu.blocked<size = [1, 4], threads = [2, 16], warps = [4, 1], order = [1, 0]>>>
// CHECK-NOT: tilegpu.convert_layout
// CHECK: tile.return
// RAW-LABEL: tile.kernel @rows_and_columns
// RAW: tilegpu.convert_layout
tile.kernel @rows_and_columns(%w: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<64xi32>
  %v = tile.load %w[%i : tensor<64xi32>] : !tile.ptr<f32, 16> -> tensor<64xf32>
  %v1 = tile.expand_dims %v, 1 : tensor<64xf32> -> tensor<64x1xf32>
  %vb = tile.broadcast %v1 : tensor<64x1xf32> -> tensor<64x64xf32>
  %c64 = arith.constant dense<64> : tensor<64xi32>
  %ro = arith.muli %i, %c64 : tensor<64xi32>
  %r1 = tile.expand_dims %ro, 1 : tensor<64xi32> -> tensor<64x1xi32>
  %rb = tile.broadcast %r1 : tensor<64x1xi32> -> tensor<64x64xi32>
  %c1 = tile.expand_dims %i, 0 : tensor<64xi32> -> tensor<1x64xi32>
  %cb = tile.broadcast %c1 : tensor<1x64xi32> -> tensor<64x64xi32>
  %o = arith.addi %rb, %cb : tensor<64x64xi32>
  tile.store %y[%o : tensor<64x64xi32>], %vb : tensor<64x64xf32> : !tile.ptr<f32, 16>
  tile.return
}

// -----
// A reduction's result is a slice of its operand, and what is computed and stored from it stays there.
// CHECK-LABEL: tile.kernel @reduction
// CHECK: tensor<16xf32, #tilegpu.slice<dim = 1, size = 64, parent = #tilegpu.blocked<size = [1, 4], threads = [2, 16], warps = [4, 1], order = [1, 0]>>>
// CHECK-NOT: tilegpu.convert_layout
// CHECK: tile.return
tile.kernel @reduction(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %f = tile.arange 0 : tensor<1024xi32>
  %o = tile.reshape %f : tensor<1024xi32> -> tensor<16x64xi32>
  %v = tile.load %x[%o : tensor<16x64xi32>] : !tile.ptr<f32, 16> -> tensor<16x64xf32>
  %s = "tile.reduce"(%v) <{axis = 1 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  }) : (tensor<16x64xf32>) -> tensor<16xf32>
  %e = math.exp %s : tensor<16xf32>
  %e1 = tile.expand_dims %e, 1 : tensor<16xf32> -> tensor<16x1xf32>
  %eb = tile.broadcast %e1 : tensor<16x1xf32> -> tensor<16x64xf32>
  %r = arith.mulf %v, %eb : tensor<16x64xf32>
  tile.store %x[%o : tensor<16x64xi32>], %r : tensor<16x64xf32> : !tile.ptr<f32, 16>
  %i = tile.arange 0 : tensor<16xi32>
  tile.store %y[%i : tensor<16xi32>], %e : tensor<16xf32> : !tile.ptr<f32, 16>
  tile.return
}

// -----
// Pairs of neighbours come apart where the load put them: wide accesses, no exchange between threads.
// CHECK-LABEL: tile.kernel @pairs
// CHECK: tile.load {{.*}} -> tensor<2048xbf16, #tilegpu.linear<"register = {{\[\[1\], \[2\], \[4\], \[1024\]\]}}
// CHECK-NOT: tilegpu.convert_layout
// CHECK: tile.return
tile.kernel @pairs(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<2048xi32>
  %v = tile.load %x[%i : tensor<2048xi32>] : !tile.ptr<bf16, 16> -> tensor<2048xbf16>
  %p = tile.reshape %v : tensor<2048xbf16> -> tensor<1024x2xbf16>
  %even = "tile.reduce"(%p) <{axis = 1 : i32}> ({
  ^bb0(%a: bf16, %b: bf16):
    tile.yield %a : bf16
  }) : (tensor<1024x2xbf16>) -> tensor<1024xbf16>
  %j = tile.arange 0 : tensor<1024xi32>
  tile.store %y[%j : tensor<1024xi32>], %even : tensor<1024xbf16> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
// A dot: fragments for its operands, the accumulator carried in fragments, made default again, as bf16, for the store.
// CHECK-LABEL: tile.kernel @dot
// CHECK: scf.for {{.*}} -> (tensor<64x64xf32, #tilegpu.mma<warps = [2, 2]>>)
// CHECK: tilegpu.convert_layout {{.*}} -> tensor<64x32xbf16, #tilegpu.dot_operand<0, bits = 16, parent = <warps = [2, 2]>>>
// CHECK: tilegpu.convert_layout {{.*}} -> tensor<32x64xbf16, #tilegpu.dot_operand<1, bits = 16, parent = <warps = [2, 2]>>>
// CHECK: tile.cast {{.*}} -> tensor<64x64xbf16, #tilegpu.mma<warps = [2, 2]>>
// CHECK: tilegpu.convert_layout {{.*}} -> tensor<64x64xbf16, #tilegpu.blocked<
// CHECK-NOT: tilegpu.convert_layout
tile.kernel @dot(%x: !tile.ptr<bf16, 16>, %w: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>, %n: i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %fa = tile.arange 0 : tensor<2048xi32>
  %oa = tile.reshape %fa : tensor<2048xi32> -> tensor<64x32xi32>
  %ob = tile.reshape %fa : tensor<2048xi32> -> tensor<32x64xi32>
  %z = arith.constant dense<0.0> : tensor<64x64xf32>
  %acc = scf.for %k = %c0 to %n step %c1 iter_args(%c = %z) -> (tensor<64x64xf32>) : i32 {
    %a = tile.load %x[%oa : tensor<64x32xi32>] : !tile.ptr<bf16, 16> -> tensor<64x32xbf16>
    %b = tile.load %w[%ob : tensor<32x64xi32>] : !tile.ptr<bf16, 16> -> tensor<32x64xbf16>
    %d = tile.dot %a, %b, %c : tensor<64x32xbf16>, tensor<32x64xbf16> -> tensor<64x64xf32>
    scf.yield %d : tensor<64x64xf32>
  }
  %r = tile.cast %acc : tensor<64x64xf32> -> tensor<64x64xbf16>
  %fy = tile.arange 0 : tensor<4096xi32>
  %oy = tile.reshape %fy : tensor<4096xi32> -> tensor<64x64xi32>
  tile.store %y[%oy : tensor<64x64xi32>], %r : tensor<64x64xbf16> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
// The A of the second dot is computed from the first: warps have whole rows in both, so that it stays in registers (the accumulator's
// layout is the fragment's).
// CHECK-LABEL: tile.kernel @chained
// CHECK: [[S:%.*]] = tile.dot {{.*}} -> tensor<64x64xf32, #tilegpu.dot_operand<0, bits = 16, parent = <warps = [4, 1]>>>
// CHECK: [[E:%.*]] = math.exp [[S]]
// CHECK: [[P:%.*]] = tile.cast [[E]]
// CHECK: tile.dot [[P]], {{.*}} -> tensor<64x64xf32, #tilegpu.dot_operand<0, bits = 16, parent = <warps = [4, 1]>>>
tile.kernel @chained(%x: !tile.ptr<bf16, 16>, %w: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %f = tile.arange 0 : tensor<4096xi32>
  %o = tile.reshape %f : tensor<4096xi32> -> tensor<64x64xi32>
  %z = arith.constant dense<0.0> : tensor<64x64xf32>
  %a = tile.load %x[%o : tensor<64x64xi32>] : !tile.ptr<bf16, 16> -> tensor<64x64xbf16>
  %b = tile.load %w[%o : tensor<64x64xi32>] : !tile.ptr<bf16, 16> -> tensor<64x64xbf16>
  %s = tile.dot %a, %b, %z : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
  %e = math.exp %s : tensor<64x64xf32>
  %p = tile.cast %e : tensor<64x64xf32> -> tensor<64x64xbf16>
  %d = tile.dot %p, %b, %z : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
  %r = tile.cast %d : tensor<64x64xf32> -> tensor<64x64xbf16>
  tile.store %y[%o : tensor<64x64xi32>], %r : tensor<64x64xbf16> : !tile.ptr<bf16, 16>
  tile.return
}
