// Every rule of the tile dialect's verifiers, by its label in compiler/ir/Tile.cpp.
// RUN: moec-opt %s -verify-diagnostics -split-input-file

// tile_c1
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op a tile has 1 to 5 dimensions, this has 6}}
  %0 = tile.splat %s : f32 -> tensor<1x1x1x1x1x2xf32>
  tile.return
}

// -----

// tile_c1
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op a tile has 1 to 5 dimensions, this has 0}}
  %0 = tile.splat %s : f32 -> tensor<f32>
  tile.return
}

// -----

// tile_c2
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op every dimension of a tile is a power of two, this is [8, 3]}}
  %0 = tile.splat %s : f32 -> tensor<8x3xf32>
  tile.return
}

// -----

// tile_c2
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op every dimension of a tile is a power of two, this is [0]}}
  %0 = tile.splat %s : f32 -> tensor<0xf32>
  tile.return
}

// -----

// tile_c2, also of ops of other dialects
tile.kernel @k() {
  // expected-error @below {{'arith.constant' op every dimension of a tile is a power of two, this is [3]}}
  %0 = arith.constant dense<0> : tensor<3xi32>
  tile.return
}

// -----

// tile_c2, also in regions
tile.kernel @k(%n: i32) {
  scf.for %i = %n to %n step %n : i32 {
  // expected-error @below {{'arith.constant' op every dimension of a tile is a power of two, this is [5]}}
    %0 = arith.constant dense<0> : tensor<5xi32>
  }
  tile.return
}

// -----

// tile_c3
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op a tile has at most 1048576 elements, this is [2048, 1024]}}
  %0 = tile.splat %s : f32 -> tensor<2048x1024xf32>
  tile.return
}

// -----

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

// kernel_c1
// expected-error @below {{'tile.kernel' op returns nothing; write results through views or pointers}}
tile.kernel @k() -> i32 {
  tile.return
}

// -----

// kernel_c2
// expected-error @below {{'tile.kernel' op an argument is a view, a pointer or a scalar, not 'tensor<4xf32>'}}
tile.kernel @k(%x: tensor<4xf32>) {
  tile.return
}

// -----

// kernel_c3
// expected-error @below {{'tile.kernel' op ends with tile.return}}
tile.kernel @k() {
  ub.unreachable
}

// -----

// kernel_c4
// expected-error @below {{'tile.kernel' op has more than one tile.grid}}
tile.kernel @k(%n: i32) {
  tile.grid %n
  tile.grid persistent
  tile.return
}

// -----

// grid_c1
tile.kernel @k(%n: i32) {
  // expected-error @below {{'tile.grid' op a grid has at most 3 extents}}
  tile.grid %n, %n, %n, %n
  tile.return
}

// -----

// grid_c2
tile.kernel @k(%n: i32, %c: i1) {
  scf.if %c {
  // expected-error @below {{'tile.grid' op stands at the top of a kernel}}
    tile.grid %n
  }
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

// the axis of a program id
tile.kernel @k() {
  // expected-error @below {{'tile.program_id' op attribute 'axis' failed to satisfy constraint: 32-bit signless integer attribute whose minimum value is 0 whose maximum value is 2}}
  %0 = tile.program_id 3
  tile.return
}

// -----

// tile.return ends a kernel only
tile.kernel @k(%c: i1) {
  scf.if %c {
    // expected-error @below {{'tile.return' op expects parent op 'tile.kernel'}}
    "tile.return"() : () -> ()
  }
  tile.return
}

// -----

// arange_c1
tile.kernel @k() {
  // expected-error @below {{'tile.arange' op gives a 1-D tile}}
  %0 = tile.arange 0 : tensor<2x2xi32>
  tile.return
}

// -----

// splat_c1
tile.kernel @k(%s: f32) {
  // expected-error @below {{'tile.splat' op value and tile have different dtypes}}
  %0 = tile.splat %s : f32 -> tensor<4xf16>
  tile.return
}

// -----

// broadcast_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<1x4xf32>
  // expected-error @below {{'tile.broadcast' op keeps the dtype}}
  %0 = tile.broadcast %t : tensor<1x4xf32> -> tensor<2x4xf16>
  tile.return
}

// -----

// broadcast_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.broadcast' op keeps the rank; use expand_dims first}}
  %0 = tile.broadcast %t : tensor<4xf32> -> tensor<2x4xf32>
  tile.return
}

// -----

// broadcast_c3
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x4xf32>
  // expected-error @below {{'tile.broadcast' op dimension 0 has size 2, only size 1 is repeated}}
  %0 = tile.broadcast %t : tensor<2x4xf32> -> tensor<4x4xf32>
  tile.return
}

// -----

// expand_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.expand_dims' op axis 2 is outside 0..1}}
  %0 = tile.expand_dims %t, 2 : tensor<4xf32> -> tensor<4x1xf32>
  tile.return
}

// -----

// expand_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.expand_dims' op axis -1 is outside 0..1}}
  %0 = tile.expand_dims %t, -1 : tensor<4xf32> -> tensor<4x1xf32>
  tile.return
}

// -----

// expand_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.expand_dims' op gives shape [1, 4]}}
  %0 = tile.expand_dims %t, 0 : tensor<4xf32> -> tensor<4x1xf32>
  tile.return
}

// -----

// reshape_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reshape' op keeps dtype and number of elements}}
  %0 = tile.reshape %t : tensor<4xf32> -> tensor<2x4xf32>
  tile.return
}

// -----

// reshape_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tile.reshape' op keeps dtype and number of elements}}
  %0 = tile.reshape %t : tensor<4xf32> -> tensor<2x2xi32>
  tile.return
}

// -----

// trans_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x4xf32>
  // expected-error @below {{'tile.trans' op order is a permutation of the operand's dimensions}}
  %0 = tile.trans %t, [0, 0] : tensor<2x4xf32> -> tensor<2x4xf32>
  tile.return
}

// -----

// trans_c1
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x4xf32>
  // expected-error @below {{'tile.trans' op order is a permutation of the operand's dimensions}}
  %0 = tile.trans %t, [1] : tensor<2x4xf32> -> tensor<2x4xf32>
  tile.return
}

// -----

// trans_c2
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x4xf32>
  // expected-error @below {{'tile.trans' op keeps dtype and rank}}
  %0 = tile.trans %t, [1, 0] : tensor<2x4xf32> -> tensor<4x2xf16>
  tile.return
}

// -----

// trans_c3
tile.kernel @k() {
  %t = arith.constant dense<0.0> : tensor<2x4xf32>
  // expected-error @below {{'tile.trans' op result dimension 0 has the wrong size}}
  %0 = tile.trans %t, [1, 0] : tensor<2x4xf32> -> tensor<2x4xf32>
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

// atomic_c1
tile.kernel @k(%x: !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>, %n: i32, %v: i8) {
  // expected-error @below {{'tile.view_atomic_rmw' op atomic add is not defined for 'i8'}}
  %0 = tile.view_atomic_rmw add, %x[%n : i32], %v clip [false] : !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>, i8 -> i8
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

// atomic_c2
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.view_atomic_rmw' op gives the old value, in the value's type}}
  %0 = tile.view_atomic_rmw add, %x[%n : i32], %v clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f64
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

// atomic_c3
tile.kernel @k(%x: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32, %v: f32) {
  // expected-error @below {{'tile.view_atomic_cas' op compares i32 or i64, not 'f32'}}
  %0 = tile.view_atomic_cas %x[%n : i32], %v, %v : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32
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

// index_c1
tile.kernel @k(%x: !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, %n: i32) {
  // expected-error @below {{'tile.view_atomic_cas' op the view has 1 dimensions, but 2 indices are given}}
  %0 = tile.view_atomic_cas %x[%n, %n : i32, i32], %n, %n : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32
  tile.return
}

// -----

// addptr loses what was known of the alignment
tile.kernel @k(%x: !tile.ptr<f32, 16>, %n: i32) {
  // expected-error @below {{'tile.addptr' op failed to verify that element types match}}
  %0 = "tile.addptr"(%x, %n) : (!tile.ptr<f32, 16>, i32) -> !tile.ptr<f32, 16>
  tile.return
}

// -----

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

// -----

// the condition is i1
tile.kernel @k(%s: i32) {
  // expected-error @below {{'tile.assert' op operand #0 must be an i1 scalar or tile, but got 'i32'}}
  "tile.assert"(%s) <{message = "m"}> : (i32) -> ()
  tile.return
}
