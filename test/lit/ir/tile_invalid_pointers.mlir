// Every rule of the tile dialect's verifiers about pointers and atomics, by its label in compiler/ir/Tile.cpp.
// RUN: moec-opt %s -verify-diagnostics -split-input-file

// element_c1
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32) {
  // expected-error @below {{'tile.load' op memory holds 'f32', the value is 'i32': cast it first}}
  %0 = tile.load %x[%n : i32] : !tile.ptr<f32> -> i32
  tile.return
}

// -----

// other_c1
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32) {
  // expected-error @below {{'tile.load' op other has the element's dtype}}
  %0 = tile.load %x[%n : i32], other %n : i32 : !tile.ptr<f32> -> f32
  tile.return
}

// -----

// shape_c1, of an offset
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32) {
  // expected-error @below {{'tile.load' op offset has shape [], the value has [4]}}
  %0 = tile.load %x[%n : i32] : !tile.ptr<f32> -> tensor<4xf32>
  tile.return
}

// -----

// shape_c1, of an offset
tile.kernel @k(%x: !tile.ptr<f32>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  // expected-error @below {{'tile.load' op offset has shape [4], the value has []}}
  %0 = tile.load %x[%i : tensor<4xi32>] : !tile.ptr<f32> -> f32
  tile.return
}

// -----

// shape_c1, of a mask
tile.kernel @k(%x: !tile.ptr<f32>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  %m = arith.constant dense<false> : tensor<8xi1>
  // expected-error @below {{'tile.load' op mask has shape [8], the value has [4]}}
  %0 = tile.load %x[%i : tensor<4xi32>], mask %m : tensor<8xi1> : !tile.ptr<f32> -> tensor<4xf32>
  tile.return
}

// -----

// shape_c1, of an offset
tile.kernel @k(%x: !tile.ptr<f32>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  %v = arith.constant dense<0.0> : tensor<8xf32>
  // expected-error @below {{'tile.store' op offset has shape [4], the value has [8]}}
  tile.store %x[%i : tensor<4xi32>], %v : tensor<8xf32> : !tile.ptr<f32>
  tile.return
}

// -----

// element_c1
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32) {
  // expected-error @below {{'tile.store' op memory holds 'f32', the value is 'i32': cast it first}}
  tile.store %x[%n : i32], %n : i32 : !tile.ptr<f32>
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<i8>, %n: i32, %v: i8) {
  // expected-error @below {{'tile.atomic_rmw' op atomic add is not defined for 'i8'}}
  %0 = tile.atomic_rmw add, %x[%n : i32], %v : !tile.ptr<i8>, i8 -> i8
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<f8E4M3FN>, %n: i32, %v: f8E4M3FN) {
  // expected-error @below {{'tile.atomic_rmw' op atomic add is not defined for 'f8E4M3FN'}}
  %0 = tile.atomic_rmw add, %x[%n : i32], %v : !tile.ptr<f8E4M3FN>, f8E4M3FN -> f8E4M3FN
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<i1>, %n: i32, %v: i1) {
  // expected-error @below {{'tile.atomic_rmw' op atomic add is not defined for 'i1'}}
  %0 = tile.atomic_rmw add, %x[%n : i32], %v : !tile.ptr<i1>, i1 -> i1
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<f16>, %n: i32, %v: f16) {
  // expected-error @below {{'tile.atomic_rmw' op atomic max is not defined for 'f16'}}
  %0 = tile.atomic_rmw max, %x[%n : i32], %v : !tile.ptr<f16>, f16 -> f16
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<bf16>, %n: i32, %v: bf16) {
  // expected-error @below {{'tile.atomic_rmw' op atomic exchange is not defined for 'bf16'}}
  %0 = tile.atomic_rmw exchange, %x[%n : i32], %v : !tile.ptr<bf16>, bf16 -> bf16
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.atomic_rmw' op atomic umin is not defined for 'f32'}}
  %0 = tile.atomic_rmw umin, %x[%n : i32], %v : !tile.ptr<f32>, f32 -> f32
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.ptr<f8E5M2>, %n: i32, %v: f8E5M2) {
  // expected-error @below {{'tile.atomic_rmw' op atomic min is not defined for 'f8E5M2'}}
  %0 = tile.atomic_rmw min, %x[%n : i32], %v : !tile.ptr<f8E5M2>, f8E5M2 -> f8E5M2
  tile.return
}

// -----

// atomic_c2
tile.kernel @k(%x: !tile.ptr<i32>, %n: i32) {
  // expected-error @below {{'tile.atomic_rmw' op gives the old value, in the value's type}}
  %0 = tile.atomic_rmw add, %x[%n : i32], %n : !tile.ptr<i32>, i32 -> i64
  tile.return
}

// -----

// atomic_c3
tile.kernel @k(%x: !tile.ptr<f32>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.atomic_cas' op compares i32 or i64, not 'f32'}}
  %0 = tile.atomic_cas %x[%n : i32], %v, %v : !tile.ptr<f32>, f32
  tile.return
}

// -----

// element_c1
tile.kernel @k(%x: !tile.ptr<i32>, %n: i32, %v: i64) {
  // expected-error @below {{'tile.atomic_cas' op memory holds 'i32', the value is 'i64': cast it first}}
  %0 = tile.atomic_cas %x[%n : i32], %v, %v : !tile.ptr<i32>, i64
  tile.return
}

// -----

// shape_c1, of an offset
tile.kernel @k(%x: !tile.ptr<i32>, %n: i32) {
  %v = arith.constant dense<0> : tensor<4xi32>
  // expected-error @below {{'tile.atomic_cas' op offset has shape [], the value has [4]}}
  %0 = tile.atomic_cas %x[%n : i32], %v, %v : !tile.ptr<i32>, tensor<4xi32>
  tile.return
}

// -----

// addptr loses what was known of the alignment
tile.kernel @k(%x: !tile.ptr<f32, 16>, %n: i32) {
  // expected-error @below {{'tile.addptr' op failed to verify that element types match}}
  %0 = "tile.addptr"(%x, %n) : (!tile.ptr<f32, 16>, i32) -> !tile.ptr<f32, 16>
  tile.return
}
