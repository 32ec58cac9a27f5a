// RUN: moec-opt %s --tile-lower-views --cse --canonicalize | FileCheck %s

// A row of a matrix by program id: the row goes into the base, the columns into 32-bit offsets, one comparison per clipped dimension.
// CHECK-LABEL: tile.kernel @row
// CHECK-SAME: (%[[X:arg[0-9]+]]: !tile.ptr<bf16, 16>, %[[XT:arg[0-9]+]]: i32 {tile.nonnegative}, %[[XH:arg[0-9]+]]: i32 {tile.divisor = 16 : i64, tile.nonnegative}, %[[XS:arg[0-9]+]]: i32 {tile.divisor = 8 : i64},
// CHECK-DAG: %[[PID:.*]] = tile.program_id 0
// CHECK-DAG: %[[C:.*]] = tile.arange 0
// CHECK-DAG: %[[OFF:.*]] = arith.muli %[[PID]], %[[XS]]
// CHECK-DAG: %[[ROW:.*]] = arith.cmpi ult, %[[PID]], %[[XT]]
// CHECK-DAG: %[[COL:.*]] = arith.cmpi ult, %[[C]]
// CHECK-DAG: %[[MASK:.*]] = arith.andi
// CHECK: %[[P:.*]] = tile.addptr %[[X]], %[[OFF]]
// CHECK: tile.load %[[P]][%[[C]] : tensor<64xi32>], mask %[[MASK]]
tile.kernel @row(%x: !tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false>,
                 %y: !tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false>) {
  %t = tile.program_id 0
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %x[%t, %c : i32, tensor<64xi32>] clip [true, true] : !tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false> -> tensor<64xbf16>
  tile.view_store %y[%t, %c : i32, tensor<64xi32>], %v : tensor<64xbf16> clip [true, true] : !tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false>
  tile.return
}

// A wide view: the strided dimension's offsets are 64 bits.
// CHECK-LABEL: tile.kernel @wide
// CHECK: arith.extsi {{.*}} : tensor<16x1xi32> to tensor<16x1xi64>
// CHECK: arith.muli {{.*}} : tensor<16x1xi64>
// CHECK: tile.load %{{.*}}[%{{.*}} : tensor<16x32xi64>]
tile.kernel @wide(%x: !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = true>, %r: i32) {
  %c0 = arith.constant 0 : i32
  %v = tile.block_load %x[%r, %c0 : i32, i32] : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = true> -> tensor<16x32xf32>
  tile.block_store %x[%r, %c0 : i32, i32], %v : !tile.view<f32, sizes = [1, 1], strides = [1, 0], align = 4, wide = true>, tensor<16x32xf32>
  tile.return
}

// Sub-views move the base and bring their own bounds; an index that is not clipped has no comparison.
// CHECK-LABEL: tile.kernel @subview
// CHECK-SAME: (%[[X:arg[0-9]+]]: !tile.ptr<f32, 1>, %{{.*}}: i32 {tile.nonnegative}, %{{.*}}: i32, %[[I:arg[0-9]+]]: i32, %[[SIZE:arg[0-9]+]]: i32)
// CHECK-DAG: tile.addptr %[[X]], %{{.*}}
// CHECK-DAG: arith.cmpi ult, %{{.*}}, %{{.*}} : tensor<8xi32>
// CHECK-NOT: arith.cmpi
tile.kernel @subview(%x: !tile.view<f32, sizes = [1], strides = [1], align = 1, wide = false>, %i: i32, %size: i32) {
  %sub = tile.subview %x[%i] [%size] : !tile.view<f32, sizes = [1], strides = [1], align = 1, wide = false> -> !tile.view<f32, sizes = [1], strides = [1], align = 1, wide = false>
  %c = tile.arange 0 : tensor<8xi32>
  %v = tile.view_load %sub[%c : tensor<8xi32>] clip [true] : !tile.view<f32, sizes = [1], strides = [1], align = 1, wide = false> -> tensor<8xf32>
  tile.view_store %x[%c : tensor<8xi32>], %v : tensor<8xf32> clip [false] : !tile.view<f32, sizes = [1], strides = [1], align = 1, wide = false>
  tile.return
}

// Packed views with contracts on their sizes: the strides are constants, so views of one shape share their offsets. What divides
// a row's stride divides its size.
!packed = !tile.view<bf16, sizes = [1, 1], strides = [8, 0], align = 16, wide = false, packed = true>
// CHECK-LABEL: tile.kernel @packed
// CHECK-SAME: %{{.*}}: !tile.ptr<bf16, 16>, %{{.*}}: i32 {tile.nonnegative}, %{{.*}}: i32 {tile.divisor = 8 : i64, tile.nonnegative}, %{{.*}}: i32 {tile.divisor = 8 : i64}
// CHECK-DAG: %[[C96:.*]] = arith.constant 96 : i32
// CHECK-DAG: %[[PID:.*]] = tile.program_id 0
// CHECK: %[[OFF:.*]] = arith.muli %[[PID]], %[[C96]] : i32
// CHECK-NOT: arith.muli
// CHECK: tile.addptr %{{.*}}, %[[OFF]]
// CHECK: tile.addptr %{{.*}}, %[[OFF]]
tile.kernel @packed(%x: !packed, %y: !packed) {
  %t = tile.dim %x, 0 : !packed
  %c96 = arith.constant 96 : i32
  tile.expect %x, [%t, %c96] : !packed
  tile.expect %y, [%t, %c96] : !packed
  %p = tile.program_id 0
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %x[%p, %c : i32, tensor<64xi32>] clip [false, true] : !packed -> tensor<64xbf16>
  tile.view_store %y[%p, %c : i32, tensor<64xi32>], %v : tensor<64xbf16> clip [false, true] : !packed
  tile.return
}

// Without a contract the last size is the stride before it; outer strides stay arguments.
!packed3 = !tile.view<f32, sizes = [1, 1, 1], strides = [1, 1, 0], align = 4, wide = false, packed = true>
// CHECK-LABEL: tile.kernel @packed_free
// CHECK-SAME: (%{{.*}}, %[[N:arg[0-9]+]]: i32 {tile.nonnegative}, %[[S0:arg[0-9]+]]: i32, %[[S1:arg[0-9]+]]: i32)
// CHECK-DAG: arith.muli %[[P0:.*]], %[[S0]]
// CHECK-DAG: arith.muli %[[P1:.*]], %[[N]]
tile.kernel @packed_free(%x: !packed3) {
  %i = tile.program_id 0
  %j = tile.program_id 1
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %x[%i, %j, %c : i32, i32, tensor<64xi32>] clip [false, false, true] : !packed3 -> tensor<64xf32>
  tile.view_store %x[%i, %j, %c : i32, i32, tensor<64xi32>], %v : tensor<64xf32> clip [false, false, true] : !packed3
  tile.return
}

// A part with fewer columns keeps its parent's strides: a contract on its sizes says nothing of them.
// CHECK-LABEL: tile.kernel @part_of_packed
// CHECK-SAME: (%{{.*}}, %[[N:arg[0-9]+]]: i32 {tile.divisor = 8 : i64, tile.nonnegative}, %{{.*}}: i32 {tile.divisor = 8 : i64})
// CHECK: arith.muli %{{.*}}, %[[N]]
tile.kernel @part_of_packed(%x: !packed) {
  %t = tile.dim %x, 0 : !packed
  %c0 = arith.constant 0 : i32
  %c32 = arith.constant 32 : i32
  %part = tile.subview %x[%c0, %c0] [%t, %c32] : !packed -> !tile.view<bf16, sizes = [1, 1], strides = [8, 0], align = 16, wide = false>
  tile.expect %part, [%t, %c32] : !tile.view<bf16, sizes = [1, 1], strides = [8, 0], align = 16, wide = false>
  %p = tile.program_id 0
  %c = tile.arange 0 : tensor<32xi32>
  %v = tile.view_load %part[%p, %c : i32, tensor<32xi32>] clip [false, true] : !tile.view<bf16, sizes = [1, 1], strides = [8, 0], align = 16, wide = false> -> tensor<32xbf16>
  tile.view_store %part[%p, %c : i32, tensor<32xi32>], %v : tensor<32xbf16> clip [false, true] : !tile.view<bf16, sizes = [1, 1], strides = [8, 0], align = 16, wide = false>
  tile.return
}

// More elements in a row than 32 bits count (only an empty tensor is not wide then): the stride stays an argument.
// CHECK-LABEL: tile.kernel @packed_empty
// CHECK-SAME: (%{{.*}}: !tile.ptr<f32, 4>, %{{.*}}: i32 {tile.nonnegative}, %{{.*}}: i32 {tile.nonnegative}, %{{.*}}: i32 {tile.nonnegative}, %[[S0:arg[0-9]+]]: i32
// CHECK: arith.muli %{{.*}}, %[[S0]]
tile.kernel @packed_empty(%x: !packed3) {
  %t = tile.dim %x, 0 : !packed3
  %big = arith.constant 65536 : i32
  tile.expect %x, [%t, %big, %big] : !packed3
  %i = tile.program_id 0
  %c = tile.arange 0 : tensor<64xi32>
  %v = tile.view_load %x[%i, %i, %c : i32, i32, tensor<64xi32>] clip [false, false, true] : !packed3 -> tensor<64xf32>
  tile.view_store %x[%i, %i, %c : i32, i32, tensor<64xi32>], %v : tensor<64xf32> clip [false, false, true] : !packed3
  tile.return
}
