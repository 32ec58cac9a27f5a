// RUN: moec-opt %s --tile-lower-views=check-indices=true --cse | FileCheck %s
!v = !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>

// Checked mode asserts the indices that are not clipped, where the mask holds.
// CHECK-LABEL: tile.kernel @gather
tile.kernel @gather(%x: !v, %i: !v, %m: i1) {
  %c = tile.arange 0 : tensor<8xi32>
  // CHECK-NOT: tile.assert
  // CHECK: tile.cast
  %f = tile.view_load %i[%c : tensor<8xi32>] clip [true] : !v -> tensor<8xf32>
  %s = tile.cast %f : tensor<8xf32> -> tensor<8xi32>
  // CHECK: %[[IN:.*]] = arith.cmpi ult, %[[S:.*]], %{{.*}} : tensor<8xi32>
  // CHECK: tile.assert %[[IN]], "index {0} is outside 0..{1} of dimension 0"(%{{.*}}, %{{.*}} :
  %v = tile.view_load %x[%s : tensor<8xi32>] clip [false] : !v -> tensor<8xf32>
  // CHECK: %[[OFF:.*]] = arith.xori
  // CHECK: %[[OK:.*]] = arith.ori %{{.*}}, %[[OFF]]
  // CHECK: tile.assert %[[OK]], "index {0} is outside 0..{1} of dimension 0"(%{{.*}}, %{{.*}} :
  %k = arith.cmpf ogt, %f, %v : tensor<8xf32>
  tile.view_store %x[%s : tensor<8xi32>], %v : tensor<8xf32>, mask %k : tensor<8xi1> clip [false] : !v
  tile.return
}
