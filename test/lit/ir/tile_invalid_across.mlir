// Every rule of the tile dialect's verifiers about arithmetic and what combines elements, by its label in compiler/ir/Tile.cpp.
// RUN: moec-opt %s -verify-diagnostics -split-input-file

// float_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf16>
  // expected-error @below {{'tile.sigmoid' op takes f32 or f64, not 'f16': cast it first}}
  %0 = tile.sigmoid %t : tensor<4xf16>
  tile.return
}

// -----

// float_c1
tile.kernel @k(%s: f64) {
  // expected-error @below {{'tile.fast_exp2' op takes f32, not 'f64': cast it first}}
  %0 = tile.fast_exp2 %s : f64
  tile.return
}

// -----

// float_c1
tile.kernel @k(%s: bf16) {
  // expected-error @below {{'tile.fast_div' op takes f32, not 'bf16': cast it first}}
  %0 = tile.fast_div %s, %s : bf16
  tile.return
}

// -----

// a cast keeps the shape
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf16>
  // expected-error @below {{'tile.cast' op all non-scalar operands/results must have the same shape and base type}}
  %0 = tile.cast %t : tensor<4xf16> -> tensor<8xf32>
  tile.return
}

// -----

// dtypes
tile.kernel @k(%s: i16) {
  // expected-error @below {{'tile.cast' op operand #0 must be a scalar or tile, but got 'i16'}}
  %0 = tile.cast %s : i16 -> i32
  tile.return
}

// -----

// combine_c1
tile.kernel @k() {
  // expected-error @below {{'tile.reduce' op needs at least one operand}}
  "tile.reduce"() ({
  ^bb0:
    "tile.yield"() : () -> ()
  }) {axis = 0 : i32} : () -> ()
  tile.return
}

// -----

// combine_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reduce' op axis 1 is outside 0..0}}
  %r = "tile.reduce"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 1 : i32} : (tensor<4xf32>) -> f32
  tile.return
}

// -----

// combine_c3
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  %u = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.scan' op operands have one shape}}
  %r:2 = "tile.scan"(%t, %u) ({
  ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
    tile.yield %a, %b : f32, f32
  }) {axis = 0 : i32} : (tensor<4xf32>, tensor<8xf32>) -> (tensor<4xf32>, tensor<8xf32>)
  tile.return
}

// -----

// combine_c4
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reduce' op the combiner takes 2 scalars}}
  %r = "tile.reduce"(%t) ({
  ^bb0(%a: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> f32
  tile.return
}

// -----

// combine_c5
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.scan' op the combiner yields 1 scalars}}
  %r = "tile.scan"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a, %b : f32, f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> tensor<4xf32>
  tile.return
}

// -----

// combine_c6
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reduce' op the combiner's operand 0 has dtype 'f32'}}
  %r = "tile.reduce"(%t) ({
  ^bb0(%a: f16, %b: f32):
    tile.yield %b : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> f32
  tile.return
}

// -----

// reduce_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4x2xf32>
  // expected-error @below {{'tile.reduce' op drops the axis and keeps the dtype: result shape [2]}}
  %r = "tile.reduce"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4x2xf32>) -> tensor<4xf32>
  tile.return
}

// -----

// reduce_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reduce' op drops the axis and keeps the dtype: result shape []}}
  %r = "tile.reduce"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> tensor<1xf32>
  tile.return
}

// -----

// reduce_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reduce' op gives one result per operand}}
  %r:2 = "tile.reduce"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> (f32, f32)
  tile.return
}

// -----

// same_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.scan' op gives one result per operand}}
  %r:2 = "tile.scan"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  tile.return
}

// -----

// same_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.scan' op results have the operands' shapes and dtypes}}
  %r = "tile.scan"(%t) ({
  ^bb0(%a: f32, %b: f32):
    tile.yield %a : f32
  }) {axis = 0 : i32} : (tensor<4xf32>) -> tensor<8xf32>
  tile.return
}

// -----

// same_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.sort' op results have the operands' shapes and dtypes}}
  %0 = "tile.sort"(%t) : (tensor<4xf32>) -> tensor<4xf16>
  tile.return
}

// -----

// sort_c1
tile.kernel @k() {
  // expected-error @below {{'tile.sort' op needs at least the keys}}
  "tile.sort"() : () -> ()
  tile.return
}

// -----

// sort_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  %u = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.sort' op operands have one shape}}
  %0:2 = "tile.sort"(%t, %u) : (tensor<4xf32>, tensor<8xf32>) -> (tensor<4xf32>, tensor<8xf32>)
  tile.return
}

// -----

// topk_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.topk' op k is a power of two from 1 to 8, not 3}}
  %0, %1 = tile.topk %t, 3 : tensor<8xf32> -> tensor<4xf32>, tensor<4xi32>
  tile.return
}

// -----

// topk_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.topk' op k is a power of two from 1 to 8, not 16}}
  %0, %1 = tile.topk %t, 16 : tensor<8xf32> -> tensor<4xf32>, tensor<4xi32>
  tile.return
}

// -----

// topk_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.topk' op k is a power of two from 1 to 8, not 0}}
  %0, %1 = tile.topk %t, 0 : tensor<8xf32> -> tensor<4xf32>, tensor<4xi32>
  tile.return
}

// -----

// topk_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x8xf32>
  // expected-error @below {{'tile.topk' op gives values and i32 indices of shape [2, 4]}}
  %0, %1 = tile.topk %t, 4 : tensor<2x8xf32> -> tensor<2x4xf32>, tensor<2x4xi64>
  tile.return
}

// -----

// histogram_c1
tile.kernel @k() {
  %t = arith.constant dense<0> : tensor<8xi32>
  // expected-error @below {{'tile.histogram' op gives a 1-D tile of counts}}
  %0 = tile.histogram %t : tensor<8xi32> -> tensor<2x4xi32>
  tile.return
}

// -----

// histogram_c2
tile.kernel @k() {
  %t = arith.constant dense<0> : tensor<8xi32>
  %m = arith.constant dense<false> : tensor<4xi1>
  // expected-error @below {{'tile.histogram' op mask has the values' shape}}
  %0 = tile.histogram %t, mask %m : tensor<4xi1> : tensor<8xi32> -> tensor<4xi32>
  tile.return
}

// -----

// dot_c1
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<2x4x4xf32>
  %b = arith.constant dense<0.0> : tensor<2x4x4xf32>
  %c = arith.constant dense<0.0> : tensor<2x4x4xf32>
  // expected-error @below {{'tile.dot' op takes 2-D tiles}}
  %0 = tile.dot %a, %b, %c : tensor<2x4x4xf32>, tensor<2x4x4xf32> -> tensor<2x4x4xf32>
  tile.return
}

// -----

// dot_c2
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<16x8xf32>
  %b = arith.constant dense<0.0> : tensor<16x8xf32>
  %c = arith.constant dense<0.0> : tensor<16x8xf32>
  // expected-error @below {{'tile.dot' op multiplies [M,K] by [K,N] into [M,N]; got [16, 8], [16, 8], [16, 8]}}
  %0 = tile.dot %a, %b, %c : tensor<16x8xf32>, tensor<16x8xf32> -> tensor<16x8xf32>
  tile.return
}

// -----

// dot_c3
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<16x16xf16>
  %b = arith.constant dense<0.0> : tensor<16x16xbf16>
  %c = arith.constant dense<0.0> : tensor<16x16xf32>
  // expected-error @below {{'tile.dot' op takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got 'f16', 'bf16', 'f32'}}
  %0 = tile.dot %a, %b, %c : tensor<16x16xf16>, tensor<16x16xbf16> -> tensor<16x16xf32>
  tile.return
}

// -----

// dot_c3
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<16x16xf16>
  %b = arith.constant dense<0.0> : tensor<16x16xf16>
  %c = arith.constant dense<0.0> : tensor<16x16xf16>
  // expected-error @below {{'tile.dot' op takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got 'f16', 'f16', 'f16'}}
  %0 = tile.dot %a, %b, %c : tensor<16x16xf16>, tensor<16x16xf16> -> tensor<16x16xf16>
  tile.return
}

// -----

// dot_c3
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<16x16xf32>
  %b = arith.constant dense<0.0> : tensor<16x16xf32>
  %c = arith.constant dense<0.0> : tensor<16x16xf64>
  // expected-error @below {{'tile.dot' op takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got 'f32', 'f32', 'f64'}}
  %0 = tile.dot %a, %b, %c : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf64>
  tile.return
}

// -----

// dot_c3
tile.kernel @k() {
  %a = arith.constant dense<0> : tensor<16x16xi8>
  %b = arith.constant dense<0> : tensor<16x16xi8>
  %c = arith.constant dense<0> : tensor<16x16xi32>
  // expected-error @below {{'tile.dot' op takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got 'i8', 'i8', 'i32'}}
  %0 = tile.dot %a, %b, %c : tensor<16x16xi8>, tensor<16x16xi8> -> tensor<16x16xi32>
  tile.return
}

// -----

// dot_c3
tile.kernel @k() {
  %a = arith.constant dense<0.0> : tensor<16x16xf8E4M3FN>
  %b = arith.constant dense<0.0> : tensor<16x16xf16>
  %c = arith.constant dense<0.0> : tensor<16x16xf32>
  // expected-error @below {{'tile.dot' op takes f16, bf16 or fp8 operands with an f32 accumulator, or all f32, or all f64; got 'f8E4M3FN', 'f16', 'f32'}}
  %0 = tile.dot %a, %b, %c : tensor<16x16xf8E4M3FN>, tensor<16x16xf16> -> tensor<16x16xf32>
  tile.return
}

// -----

// a combiner's result leaves a reduce or scan only
tile.kernel @k(%s: f32, %c: i1) {
  scf.if %c {
    // expected-error @below {{'tile.yield' op expects parent op to be one of 'tile.reduce, tile.scan'}}
    "tile.yield"(%s) : (f32) -> ()
  }
  tile.return
}
