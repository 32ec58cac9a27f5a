// RUN: moec-opt %s --tile-lower-views --cse --tile-simplify-masks --cse --canonicalize | FileCheck %s

!v1 = !tile.view<f32, sizes = [1], strides = [0], align = 16, wide = false>
!v16 = !tile.view<f32, sizes = [16], strides = [0], align = 16, wide = false>
!rows = !tile.view<f32, sizes = [1, 1], strides = [4, 0], align = 16, wide = false>

// One program per row: the row's comparison is gone, the columns' stays.
// CHECK-LABEL: tile.kernel @rows
// CHECK: %[[M:.*]] = arith.cmpi ult
// CHECK-NOT: arith.cmpi
// CHECK: tile.load {{.*}} mask %[[M]]
// CHECK-NOT: tile.grid
tile.kernel @rows(%x: !rows) {
  %t = tile.dim %x, 0 : !rows
  tile.grid %t
  %p = tile.program_id 0
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %x[%p, %c : i32, tensor<64xi32>] clip [true, true] : !rows -> tensor<64xf32>
  tile.view_store %x[%p, %c : i32, tensor<64xi32>], %v : tensor<64xf32> clip [true, true] : !rows
  tile.return
}

// Blocks of 16 of a size divisible by 16, grid = cdiv(n, 16): no mask. With another block size it stays.
// CHECK-LABEL: tile.kernel @blocks
// CHECK-NOT: mask
// CHECK: tile.return
tile.kernel @blocks(%x: !v16) {
  %n = tile.dim %x, 0 : !v16
  %c15 = arith.constant 15 : i32
  %c16 = arith.constant 16 : i32
  %s = arith.addi %n, %c15 : i32
  %g = arith.divsi %s, %c16 : i32
  tile.grid %g
  %p = tile.program_id 0
  %o = arith.muli %p, %c16 : i32
  %v = tile.block_load %x[%o : i32] : !v16 -> tensor<16xf32>
  tile.block_store %x[%o : i32], %v : !v16, tensor<16xf32>
  tile.return
}
// CHECK-LABEL: tile.kernel @blocks_odd
// CHECK: tile.load {{.*}} mask
tile.kernel @blocks_odd(%x: !v1) {
  %n = tile.dim %x, 0 : !v1
  %c15 = arith.constant 15 : i32
  %c16 = arith.constant 16 : i32
  %s = arith.addi %n, %c15 : i32
  %g = arith.divsi %s, %c16 : i32
  tile.grid %g
  %p = tile.program_id 0
  %o = arith.muli %p, %c16 : i32
  %v = tile.block_load %x[%o : i32] : !v1 -> tensor<16xf32>
  tile.block_store %x[%o : i32], %v : !v1, tensor<16xf32>
  tile.return
}

// A contract fixes the size: the mask of 128 lanes over 128 columns is gone; of 128 lanes over 100 it stays.
// CHECK-LABEL: tile.kernel @contract
// CHECK: tile.load
// CHECK-NOT: mask
// CHECK: tile.load {{.*}} mask
tile.kernel @contract(%x: !v1, %y: !v1) {
  %c128 = arith.constant 128 : i32
  %c100 = arith.constant 100 : i32
  tile.expect %x, [%c128] : !v1
  tile.expect %y, [%c100] : !v1
  %c = tile.arange 0 : tensor<128xi32>
  %v = tile.view_load %x[%c : tensor<128xi32>] clip [true] : !v1 -> tensor<128xf32>
  %w = tile.view_load %y[%c : tensor<128xi32>] clip [true] : !v1 -> tensor<128xf32>
  %u = arith.addf %v, %w : tensor<128xf32>
  tile.view_store %x[%c : tensor<128xi32>], %u : tensor<128xf32> clip [true] : !v1
  tile.return
}

// A loop in steps of 16 up to a size divisible by 16.
// CHECK-LABEL: tile.kernel @loop
// CHECK-NOT: mask
// CHECK: tile.return
tile.kernel @loop(%x: !v16) {
  %n = tile.dim %x, 0 : !v16
  %c0 = arith.constant 0 : i32
  %c16 = arith.constant 16 : i32
  scf.for %i = %c0 to %n step %c16 : i32 {
    %v = tile.block_load %x[%i : i32] : !v16 -> tensor<16xf32>
    tile.block_store %x[%i : i32], %v : !v16, tensor<16xf32>
  }
  tile.return
}

// Nothing is proved of an index that may be negative, or of program_id without a grid.
// CHECK-LABEL: tile.kernel @unknown
// CHECK-COUNT-2: arith.cmpi ult
tile.kernel @unknown(%x: !v16, %i: i32) {
  %p = tile.program_id 0
  %v = tile.view_load %x[%i : i32] clip [true] : !v16 -> f32
  tile.view_store %x[%p : i32], %v : f32 clip [true] : !v16
  tile.return
}

// The right half of a view of 2n columns has 2n - n of them: both halves then have one mask. 3n - n stays a product.
// CHECK-LABEL: tile.kernel @halves
// CHECK-NOT: arith.subi
// CHECK: %[[NS:.*]] = tile.splat %[[N:.*]] :
// CHECK: %[[M:.*]] = arith.cmpi ult, %{{.*}}, %[[NS]]
// CHECK: tile.load {{.*}} mask %[[M]]
// CHECK-NOT: arith.cmpi
// CHECK: tile.load {{.*}} mask %[[M]]
// CHECK: %[[NS2:.*]] = tile.splat %[[N2:.*]] :
// CHECK: %[[M2:.*]] = arith.cmpi ult, %{{.*}}, %[[NS2]]
// CHECK: tile.store {{.*}} mask %[[M2]]
tile.kernel @halves(%x: !v1, %n: i32 {tile.nonnegative}) {
  %c0 = arith.constant 0 : i32
  %c2 = arith.constant 2 : i32
  %c3 = arith.constant 3 : i32
  %n2 = arith.muli %n, %c2 : i32
  %n3 = arith.muli %n, %c3 : i32
  %left = tile.subview %x[%c0][%n] : !v1 -> !v1
  %rest = arith.subi %n2, %n : i32
  %right = tile.subview %x[%n][%rest] : !v1 -> !v1
  %more = arith.subi %n3, %n : i32
  %large = tile.subview %x[%n][%more] : !v1 -> !v1
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %left[%c : tensor<64xi32>] clip [true] : !v1 -> tensor<64xf32>
  %w = tile.view_load %right[%c : tensor<64xi32>] clip [true] : !v1 -> tensor<64xf32>
  %u = arith.addf %v, %w : tensor<64xf32>
  tile.view_store %large[%c : tensor<64xi32>], %u : tensor<64xf32> clip [true] : !v1
  tile.return
}
