// Every rule of the tile dialect's verifiers about views, by its label in compiler/ir/Tile.cpp.
// RUN: moec-opt %s -verify-diagnostics -split-input-file

// view_c1
// expected-error @below {{a view has as many strides as sizes}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [0], align = 4, wide = false>) {
  tile.return
}

// -----

// view_c2
// expected-error @below {{a view has at most 5 dimensions}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1, 1, 1, 1, 1], strides = [1, 1, 1, 1, 1, 0], align = 4, wide = false>) {
  tile.return
}

// -----

// view_c3
// expected-error @below {{a size's divisor is at least 1}}
tile.kernel @k(%x: !tile.view<f32, sizes = [0], strides = [0], align = 4, wide = false>) {
  tile.return
}

// -----

// view_c4
// expected-error @below {{a stride's divisor is at least 0 (0: the stride is 1)}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [-1], align = 4, wide = false>) {
  tile.return
}

// -----

// view_c5
// expected-error @below {{alignment is a power of two in bytes}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 12, wide = false>) {
  tile.return
}

// -----

// view_c5
// expected-error @below {{alignment is a power of two in bytes}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 0, wide = false>) {
  tile.return
}

// -----

// view_c6
// expected-error @below {{a packed view's last stride is 1 (divisor 0)}}
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 4], align = 4, wide = false, packed = true>) {
  tile.return
}

// -----

// expect_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.expect' op needs one size per dimension of the view}}
  tile.expect %x, [%n] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>
  tile.return
}

// -----

// expect_c2
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32, %c: i1) {
  scf.if %c {
  // expected-error @below {{'tile.expect' op stands at the top of a kernel}}
    tile.expect %x, [%n] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  }
  tile.return
}

// -----

// dim_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  // expected-error @below {{'tile.dim' op axis is outside the view's rank}}
  %0 = tile.dim %x, 1 : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.return
}

// -----

// dim_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  // expected-error @below {{'tile.dim' op axis is outside the view's rank}}
  %0 = tile.dim %x, -1 : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.return
}

// -----

// subview_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.subview' op needs one offset and one size per dimension}}
  %0 = tile.subview %x[%n][%n, %n] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false> -> !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>
  tile.return
}

// -----

// subview_c2
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.subview' op keeps dtype and rank}}
  %0 = tile.subview %x[%n][%n] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>
  tile.return
}

// -----

// view_at_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_at' op drops the first dimension and keeps the dtype}}
  %0 = tile.view_at %x[%n : i32] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false> -> !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>
  tile.return
}

// -----

// index_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_load' op the view has 2 dimensions, but 1 indices are given}}
  %0 = tile.view_load %x[%n : i32] clip [false] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false> -> f32
  tile.return
}

// -----

// index_c2
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_load' op clip needs one entry per index}}
  %0 = tile.view_load %x[%n, %n : i32, i32] clip [false] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false> -> f32
  tile.return
}

// -----

// index_c3
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  // expected-error @below {{'tile.view_load' op an index tile has the value's rank 0, this one has 1}}
  %0 = tile.view_load %x[%i : tensor<4xi32>] clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> f32
  tile.return
}

// -----

// index_c3
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  // expected-error @below {{'tile.view_load' op an index tile has the value's rank 2, this one has 1}}
  %0 = tile.view_load %x[%i : tensor<4xi32>] clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<2x4xf32>
  tile.return
}

// -----

// index_c4
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  // expected-error @below {{'tile.view_load' op index of shape [4] does not broadcast to [8]}}
  %0 = tile.view_load %x[%i : tensor<4xi32>] clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<8xf32>
  tile.return
}

// -----

// element_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_load' op memory holds 'f32', the value is 'f16': cast it first}}
  %0 = tile.view_load %x[%n : i32] clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> f16
  tile.return
}

// -----

// other_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_load' op other has the element's dtype}}
  %0 = tile.view_load %x[%n : i32], other %n : i32 clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> f32
  tile.return
}

// -----

// shape_c1, of a mask
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  %m = arith.constant dense<false> : tensor<2xi1>
  // expected-error @below {{'tile.view_load' op mask has shape [2], the value has [4]}}
  %0 = tile.view_load %x[%i : tensor<4xi32>], mask %m : tensor<2xi1> clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<4xf32>
  tile.return
}

// -----

// element_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_store' op memory holds 'f32', the value is 'i32': cast it first}}
  tile.view_store %x[%n : i32], %n : i32 clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.return
}

// -----

// index_c4
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>) {
  %i = arith.constant dense<0> : tensor<4xi32>
  %v = arith.constant dense<0.0> : tensor<2xf32>
  // expected-error @below {{'tile.view_store' op index of shape [4] does not broadcast to [2]}}
  tile.view_store %x[%i : tensor<4xi32>], %v : tensor<2xf32> clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.return
}

// -----

// shape_c1, of a mask
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  %m = arith.constant dense<false> : tensor<2xi1>
  %v = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.view_store' op mask has shape [2], the value has [4]}}
  tile.view_store %x[%n : i32], %v : tensor<4xf32>, mask %m : tensor<2xi1> clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.return
}

// -----

// block_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.block_load' op needs one origin per dimension of the view and a tile of its rank}}
  %0 = tile.block_load %x[%n, %n : i32, i32] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false> -> tensor<4xf32>
  tile.return
}

// -----

// block_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  %v = arith.constant dense<0.0> : tensor<4x4xf32>
  // expected-error @below {{'tile.block_store' op needs one origin per dimension of the view and a tile of its rank}}
  tile.block_store %x[%n : i32], %v : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, tensor<4x4xf32>
  tile.return
}

// -----

// element_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, %n: i32) {
  %v = arith.constant dense<0.0> : tensor<4x4xf16>
  // expected-error @below {{'tile.block_store' op memory holds 'f32', the value is 'f16': cast it first}}
  tile.block_store %x[%n, %n : i32, i32], %v : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = false>, tensor<4x4xf16>
  tile.return
}

// -----

// other_c1
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.block_load' op other has the element's dtype}}
  %0 = tile.block_load %x[%n : i32], other %n : i32 : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<4xf32>
  tile.return
}

// -----

// atomic_c1
tile.kernel @k(%x: !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>, %n: i32, %v: i8) {
  // expected-error @below {{'tile.view_atomic_rmw' op atomic add is not defined for 'i8'}}
  %0 = tile.view_atomic_rmw add, %x[%n : i32], %v clip [false] : !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>, i8 -> i8
  tile.return
}

// -----

// atomic_c2
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.view_atomic_rmw' op gives the old value, in the value's type}}
  %0 = tile.view_atomic_rmw add, %x[%n : i32], %v clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f64
  tile.return
}

// -----

// atomic_c3
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.view_atomic_cas' op compares i32 or i64, not 'f32'}}
  %0 = tile.view_atomic_cas %x[%n : i32], %v, %v : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32
  tile.return
}

// -----

// index_c1
tile.kernel @k(%x: !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_atomic_cas' op the view has 1 dimensions, but 2 indices are given}}
  %0 = tile.view_atomic_cas %x[%n, %n : i32, i32], %n, %n : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32
  tile.return
}
