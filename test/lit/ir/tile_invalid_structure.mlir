// Every rule of the tile dialect's verifiers about kernels, tile types and shapes, by its label in compiler/ir/Tile.cpp.
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

// the condition is i1
tile.kernel @k(%s: i32) {
  // expected-error @below {{'tile.assert' op operand #0 must be an i1 scalar or tile, but got 'i32'}}
  "tile.assert"(%s) <{message = "m"}> : (i32) -> ()
  tile.return
}

// -----

// assert_c1
tile.kernel @k(%c: i1, %s: i32) {
  // expected-error @below {{'tile.assert' op prints at most two values}}
  tile.assert %c, "m"(%s, %s, %s : i32, i32, i32) : i1
  tile.return
}

// -----

// a printed tile has the condition's shape
tile.kernel @k(%c: i1) {
  %i = tile.arange 0 : tensor<4xi32>
  // expected-error @below {{'tile.assert' op}}
  tile.assert %c, "m"(%i : tensor<4xi32>) : i1
  tile.return
}
