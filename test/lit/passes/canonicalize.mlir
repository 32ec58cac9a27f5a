// RUN: moec-opt %s --tile-canonicalize | FileCheck %s

// Arithmetic on constants is done, casts to the same type go.
// CHECK-LABEL: tile.kernel @folds
// CHECK-NOT: arith.addi
// CHECK-NOT: tile.cast
// CHECK: %[[C:.*]] = arith.constant 7 : i32
// CHECK: %[[TILE:.*]] = tile.splat %[[C]]
// CHECK-NOT: tile.cast
// CHECK: tile.store %{{.*}}, %[[TILE]] :
tile.kernel @folds(%p: !tile.ptr<i32, 16>) {
  %c3 = arith.constant 3 : i32
  %c4 = arith.constant 4 : i32
  %sum = arith.addi %c3, %c4 : i32
  %tile = tile.splat %sum : i32 -> tensor<16xi32>
  %same = tile.cast %tile : tensor<16xi32> -> tensor<16xi32>
  %i = tile.arange 0 : tensor<16xi32>
  tile.store %p[%i : tensor<16xi32>], %same : tensor<16xi32> : !tile.ptr<i32, 16>
  tile.return
}

// What is not known stays.
// CHECK-LABEL: tile.kernel @keeps
// CHECK: tile.cast %{{.*}} : tensor<16xi8> -> tensor<16xi32>
// CHECK: tile.store
// CHECK: scf.if
// CHECK: tile.store
tile.kernel @keeps(%p: !tile.ptr<i8>, %q: !tile.ptr<i32, 16>, %b: i1) {
  %i = tile.arange 0 : tensor<16xi32>
  %v = tile.load %p[%i : tensor<16xi32>] : !tile.ptr<i8> -> tensor<16xi8>
  %w = tile.cast %v : tensor<16xi8> -> tensor<16xi32>
  tile.store %q[%i : tensor<16xi32>], %w : tensor<16xi32> : !tile.ptr<i32, 16>
  scf.if %b {
    tile.store %q[%i : tensor<16xi32>], %i : tensor<16xi32> : !tile.ptr<i32, 16>
  }
  tile.return
}

// A branch on a constant becomes the side taken; an empty loop goes.
// CHECK-LABEL: tile.kernel @control
// CHECK-NOT: scf.if
// CHECK-NOT: scf.for
// CHECK: tile.store %{{.*}}, %arg1 :
// CHECK-NOT: tile.store
tile.kernel @control(%p: !tile.ptr<i32, 16>, %a: i32, %b: i32) {
  %true = arith.constant true
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  scf.if %true {
    tile.store %p[%c0 : i32], %a : i32 : !tile.ptr<i32, 16>
  } else {
    tile.store %p[%c0 : i32], %b : i32 : !tile.ptr<i32, 16>
  }
  scf.for %k = %c0 to %c0 step %c1 : i32 {
    tile.store %p[%k : i32], %b : i32 : !tile.ptr<i32, 16>
  }
  tile.return
}
