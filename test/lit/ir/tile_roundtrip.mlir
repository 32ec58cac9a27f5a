// What is printed parses back to the same, in the pretty and in the generic form, and the pretty form loses nothing of an op: for these
// kernels and for those of every_op.py, which hold every op in every dtype. Floats without a short decimal form are printed by their bits.
// RUN: (%python %S/every_op.py && cat %s) > %t.mlir
// RUN: moec-opt %t.mlir > %t.pretty
// RUN: moec-opt %t.mlir -mlir-print-op-generic > %t.generic
// RUN: moec-opt %t.pretty | diff %t.pretty -
// RUN: moec-opt %t.generic | diff %t.pretty -
// RUN: moec-opt %t.pretty -mlir-print-op-generic | diff %t.generic -
// RUN: FileCheck %s < %t.pretty

!one = !tile.view<f32, sizes = [16], strides = [4], align = 4, wide = true>
!packed = !tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false, packed = true>
!zero = !tile.view<f32, sizes = [], strides = [], align = 4, wide = true>

// CHECK-LABEL: tile.kernel @structure
// CHECK-SAME: wide = false, packed = true>)
tile.kernel @structure(%n: i32, %c: i1, %v: !one, %p: !tile.ptr<f32>, %s: f32, %packed: !packed) {
  // CHECK-NEXT: tile.grid persistent
  tile.grid persistent
  %x = tile.program_id 0
  %y = tile.num_programs 2
  tile.barrier
  // CHECK: tile.view_at
  // CHECK-NEXT: tile.view_load %{{[0-9]+}}[] clip [] :
  // CHECK-NEXT: tile.view_store %{{[0-9]+}}[], %{{[0-9]+}} : f32 clip [] :
  %v0 = tile.view_at %v[%n : i32] : !one -> !zero
  %e0 = tile.view_load %v0[] clip [] : !zero -> f32
  tile.view_store %v0[], %e0 : f32 clip [] : !zero
  // CHECK: tile.load %arg3[%arg0 : i32], other %arg4 : f32 :
  %l = tile.load %p[%n : i32], other %s : f32 : !tile.ptr<f32> -> f32
  // CHECK: tile.assert %arg1, "a \22quoted\22 message" : i1
  tile.assert %c, "a \"quoted\" message" : i1
  %i = tile.arange 0 : tensor<16xi32>
  %z = arith.constant dense<0> : tensor<16xi32>
  %ok = arith.cmpi sge, %i, %z : tensor<16xi32>
  tile.assert %ok, "tile" : tensor<16xi1>
  // CHECK: tile.assert %{{[0-9]+}}, "{0} of {1}"(%{{[0-9]+}}, %arg0 : tensor<16xi32>, i32) : tensor<16xi1>
  tile.assert %ok, "{0} of {1}"(%i, %n : tensor<16xi32>, i32) : tensor<16xi1>
  %h = tile.histogram %i : tensor<16xi32> -> tensor<8xi32>
  %hm = tile.histogram %i, mask %ok : tensor<16xi1> : tensor<16xi32> -> tensor<8xi32>
  %f = scf.for %k = %x to %n step %y iter_args(%a = %i) -> (tensor<16xi32>) : i32 {
    %b = scf.if %c -> (tensor<16xi32>) {
      scf.yield %a : tensor<16xi32>
    } else {
      scf.yield %z : tensor<16xi32>
    }
    scf.yield %b : tensor<16xi32>
  }
  %w = scf.while (%k = %n) : (i32) -> i32 {
    scf.condition(%c) %k : i32
  } do {
  ^bb0(%k: i32):
    scf.yield %k : i32
  }
  tile.return
}

// NaN with payloads, infinities, both zeros, the least denormal.
// CHECK-LABEL: tile.kernel @constants
tile.kernel @constants() {
  // CHECK: arith.constant 0x7E01 : f16
  %f16_0 = arith.constant 0x7E01 : f16
  // CHECK: arith.constant dense<0x7E01> : tensor<8xf16>
  %f16_0t = arith.constant dense<0x7E01> : tensor<8xf16>
  // CHECK: arith.constant 0x7C00 : f16
  %f16_1 = arith.constant 0x7C00 : f16
  // CHECK: arith.constant dense<0x7C00> : tensor<8xf16>
  %f16_1t = arith.constant dense<0x7C00> : tensor<8xf16>
  // CHECK: arith.constant 0xFC00 : f16
  %f16_2 = arith.constant 0xFC00 : f16
  // CHECK: arith.constant dense<0xFC00> : tensor<8xf16>
  %f16_2t = arith.constant dense<0xFC00> : tensor<8xf16>
  // CHECK: arith.constant -0.000000e+00 : f16
  %f16_zero = arith.constant -0.0 : f16
  %f16_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7E01, 0x7C00, 2.0, 0.5]> : tensor<8xf16>
  // CHECK: arith.constant 0x7FC1 : bf16
  %bf16_0 = arith.constant 0x7FC1 : bf16
  // CHECK: arith.constant dense<0x7FC1> : tensor<8xbf16>
  %bf16_0t = arith.constant dense<0x7FC1> : tensor<8xbf16>
  // CHECK: arith.constant 0x7F80 : bf16
  %bf16_1 = arith.constant 0x7F80 : bf16
  // CHECK: arith.constant dense<0x7F80> : tensor<8xbf16>
  %bf16_1t = arith.constant dense<0x7F80> : tensor<8xbf16>
  // CHECK: arith.constant 0xFF80 : bf16
  %bf16_2 = arith.constant 0xFF80 : bf16
  // CHECK: arith.constant dense<0xFF80> : tensor<8xbf16>
  %bf16_2t = arith.constant dense<0xFF80> : tensor<8xbf16>
  // CHECK: arith.constant -0.000000e+00 : bf16
  %bf16_zero = arith.constant -0.0 : bf16
  %bf16_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FC1, 0x7F80, 2.0, 0.5]> : tensor<8xbf16>
  // CHECK: arith.constant 0x7FC00001 : f32
  %f32_0 = arith.constant 0x7FC00001 : f32
  // CHECK: arith.constant dense<0x7FC00001> : tensor<8xf32>
  %f32_0t = arith.constant dense<0x7FC00001> : tensor<8xf32>
  // CHECK: arith.constant 0x7F800000 : f32
  %f32_1 = arith.constant 0x7F800000 : f32
  // CHECK: arith.constant dense<0x7F800000> : tensor<8xf32>
  %f32_1t = arith.constant dense<0x7F800000> : tensor<8xf32>
  // CHECK: arith.constant 0xFF800000 : f32
  %f32_2 = arith.constant 0xFF800000 : f32
  // CHECK: arith.constant dense<0xFF800000> : tensor<8xf32>
  %f32_2t = arith.constant dense<0xFF800000> : tensor<8xf32>
  // CHECK: arith.constant -0.000000e+00 : f32
  %f32_zero = arith.constant -0.0 : f32
  %f32_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FC00001, 0x7F800000, 2.0, 0.5]> : tensor<8xf32>
  // CHECK: arith.constant 0x7FF8000000000001 : f64
  %f64_0 = arith.constant 0x7FF8000000000001 : f64
  // CHECK: arith.constant dense<0x7FF8000000000001> : tensor<8xf64>
  %f64_0t = arith.constant dense<0x7FF8000000000001> : tensor<8xf64>
  // CHECK: arith.constant 0x7FF0000000000000 : f64
  %f64_1 = arith.constant 0x7FF0000000000000 : f64
  // CHECK: arith.constant dense<0x7FF0000000000000> : tensor<8xf64>
  %f64_1t = arith.constant dense<0x7FF0000000000000> : tensor<8xf64>
  // CHECK: arith.constant 0xFFF0000000000000 : f64
  %f64_2 = arith.constant 0xFFF0000000000000 : f64
  // CHECK: arith.constant dense<0xFFF0000000000000> : tensor<8xf64>
  %f64_2t = arith.constant dense<0xFFF0000000000000> : tensor<8xf64>
  // CHECK: arith.constant -0.000000e+00 : f64
  %f64_zero = arith.constant -0.0 : f64
  %f64_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FF8000000000001, 0x7FF0000000000000, 2.0, 0.5]> : tensor<8xf64>
  // CHECK: arith.constant 0x7F : f8E4M3FN
  %f8E4M3FN_0 = arith.constant 0x7F : f8E4M3FN
  // CHECK: arith.constant dense<0x7F> : tensor<8xf8E4M3FN>
  %f8E4M3FN_0t = arith.constant dense<0x7F> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant 0xFF : f8E4M3FN
  %f8E4M3FN_1 = arith.constant 0xFF : f8E4M3FN
  // CHECK: arith.constant dense<0xFF> : tensor<8xf8E4M3FN>
  %f8E4M3FN_1t = arith.constant dense<0xFF> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant -0.000000e+00 : f8E4M3FN
  %f8E4M3FN_zero = arith.constant -0.0 : f8E4M3FN
  %f8E4M3FN_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7F, 0xFF, 2.0, 0.5]> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant 0x7D : f8E5M2
  %f8E5M2_0 = arith.constant 0x7D : f8E5M2
  // CHECK: arith.constant dense<0x7D> : tensor<8xf8E5M2>
  %f8E5M2_0t = arith.constant dense<0x7D> : tensor<8xf8E5M2>
  // CHECK: arith.constant 0x7C : f8E5M2
  %f8E5M2_1 = arith.constant 0x7C : f8E5M2
  // CHECK: arith.constant dense<0x7C> : tensor<8xf8E5M2>
  %f8E5M2_1t = arith.constant dense<0x7C> : tensor<8xf8E5M2>
  // CHECK: arith.constant 0xFC : f8E5M2
  %f8E5M2_2 = arith.constant 0xFC : f8E5M2
  // CHECK: arith.constant dense<0xFC> : tensor<8xf8E5M2>
  %f8E5M2_2t = arith.constant dense<0xFC> : tensor<8xf8E5M2>
  // CHECK: arith.constant -0.000000e+00 : f8E5M2
  %f8E5M2_zero = arith.constant -0.0 : f8E5M2
  %f8E5M2_list = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7D, 0x7C, 2.0, 0.5]> : tensor<8xf8E5M2>
  // CHECK: arith.constant 1.401300e-45 : f32
  %least = arith.constant 0x00000001 : f32
  // CHECK: arith.constant 0.333333343 : f32
  %third = arith.constant 0x3EAAAAAB : f32
  %i = arith.constant -9223372036854775808 : i64
  %b = arith.constant true
  tile.return
}

#blocked = #tilegpu.blocked<size = [1, 4], threads = [4, 8], warps = [2, 2], order = [1, 0]>
#mma = #tilegpu.mma<warps = [2, 2]>
#a = #tilegpu.dot_operand<0, bits = 16, parent = #mma>
#b = #tilegpu.dot_operand<1, bits = 16, parent = #mma>
#row = #tilegpu.slice<dim = 0, size = 32, parent = #blocked>
#swizzled = #tilegpu.swizzled<vec = 8, per_phase = 2, max_phase = 4, order = [1, 0]>
!buffer = !tilegpu.buffer<[32, 32] x f16, stages = 3, #swizzled>

// CHECK-LABEL: tile.kernel @layouts
tile.kernel @layouts(%p: !tile.ptr<f16, 16>, %n: i32, %c: i1) {
  %row = tile.arange 0 : tensor<32xi32, #row>
  %one = tile.expand_dims %row, 0 : tensor<32xi32, #row> -> tensor<1x32xi32, #blocked>
  %o = tile.broadcast %one : tensor<1x32xi32, #blocked> -> tensor<32x32xi32, #blocked>
  %m = arith.constant dense<true> : tensor<32x32xi1, #blocked>
  %x = tile.load %p[%o : tensor<32x32xi32, #blocked>], mask %m : tensor<32x32xi1, #blocked> : !tile.ptr<f16, 16> -> tensor<32x32xf16, #blocked>
  %s = tilegpu.alloc : !buffer
  %t = tilegpu.alloc {offset = 128 : i32} : !buffer
  tilegpu.local_store %x, %s[%n] : tensor<32x32xf16, #blocked>, !buffer
  tilegpu.async_copy %p[%o : tensor<32x32xi32, #blocked>] to %t[%n] : !tile.ptr<f16, 16>, !buffer
  tilegpu.async_copy %p[%o : tensor<32x32xi32, #blocked>] to %t[%n], mask %m : tensor<32x32xi1, #blocked> : !tile.ptr<f16, 16>, !buffer
  tilegpu.async_commit
  tilegpu.async_wait 1
  tilegpu.barrier
  %a = tilegpu.local_load %s[%n] : !buffer -> tensor<32x32xf16, #a>
  %b = tilegpu.local_load %t[%n] trans : !buffer -> tensor<32x32xf16, #b>
  %acc = arith.constant dense<0.0> : tensor<32x32xf32, #mma>
  %d = tile.dot %a, %b, %acc : tensor<32x32xf16, #a>, tensor<32x32xf16, #b> -> tensor<32x32xf32, #mma>
  %e = tilegpu.convert_layout %d : tensor<32x32xf32, #mma> -> tensor<32x32xf32, #blocked>
  tile.return
}
