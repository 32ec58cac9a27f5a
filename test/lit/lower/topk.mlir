// tile.topk: each thread sorts its own elements; then, in a loop, the least of all first keys is found k times by redux, leaves its thread's list and
// is kept by the lane of its rank.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// The 8 greatest of 128 integers, a warp per row, 4 per thread: two redux per round (value, then position). Shuffles only because this result has
// four ranks per lane.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 0
// CHECK: %[[EIGHT:.*]] = llvm.mlir.constant(8 : i32)
// CHECK: llvm.intr.umin{{.*}} i64
// CHECK: ^[[ROUND:bb[0-9]+]](%[[I:[0-9a-z]+]]: i32
// CHECK: %[[KEEPS:.*]] = llvm.icmp "eq" %{{.*}}, %[[I]]
// CHECK: %[[IMAGE:.*]] = nvvm.redux.sync umin
// CHECK: %[[AT:.*]] = nvvm.redux.sync umin
// CHECK: llvm.select %[[KEEPS]], %[[IMAGE]],
// CHECK: llvm.select %[[KEEPS]], %[[AT]],
// CHECK-NOT: nvvm.redux
// CHECK: %[[NEXT:.*]] = llvm.add %[[I]],
// CHECK: %[[MORE:.*]] = llvm.icmp "slt" %[[NEXT]], %[[EIGHT]]
// CHECK: llvm.cond_br %[[MORE]], ^[[ROUND]](%[[NEXT]]
// CHECK-NOT: nvvm.redux
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [8], [16], [32], [64]], warp = [[128], [256]]">
#t = #tilegpu.linear<"register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [0, 16], [0, 32], [0, 64]], warp = [[1, 0], [2, 0]]">
#rl = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [0], [0], [0], [0]], warp = [[8], [16]]">
#rt = #tilegpu.linear<"register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 0], [0, 0], [0, 0], [0, 0]], warp = [[1, 0], [2, 0]]">
tile.kernel @topk(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>, %z: !tile.ptr<i32, 16>) {
  %f = tile.arange 0 : tensor<512xi32, #l>
  %i = tile.reshape %f : tensor<512xi32, #l> -> tensor<4x128xi32, #t>
  %v = tile.load %x[%i : tensor<4x128xi32, #t>] : !tile.ptr<i32, 16> -> tensor<4x128xi32, #t>
  %s:2 = tile.topk %v, 8 : tensor<4x128xi32, #t> -> tensor<4x8xi32, #rt>, tensor<4x8xi32, #rt>
  %rf = tile.arange 0 : tensor<32xi32, #rl>
  %ri = tile.reshape %rf : tensor<32xi32, #rl> -> tensor<4x8xi32, #rt>
  tile.store %y[%ri : tensor<4x8xi32, #rt>], %s#0 : tensor<4x8xi32, #rt> : !tile.ptr<i32, 16>
  tile.store %z[%ri : tensor<4x8xi32, #rt>], %s#1 : tensor<4x8xi32, #rt> : !tile.ptr<i32, 16>
  tile.return
}

// -----

// Rows that cross warps: blocks of 2 are sorted, then merged two at a time, keeping the better half; the last step goes through shared memory.
// CHECK-LABEL: llvm.func @across
// CHECK: llvm.intr.umin{{.*}} i64
// CHECK: nvvm.shfl.sync bfly
// CHECK: nvvm.barrier0
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [8], [16]], warp = [[32], [64]]">
#r = #tilegpu.linear<"register = [], lane = [[1], [0], [0], [0], [0]], warp = [[0], [0]]">
tile.kernel @across(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #l>
  %v = tile.load %x[%i : tensor<128xi32, #l>] : !tile.ptr<i32, 16> -> tensor<128xi32, #l>
  %s:2 = tile.topk %v, 2 : tensor<128xi32, #l> -> tensor<2xi32, #r>, tensor<2xi32, #r>
  %j = tile.arange 0 : tensor<2xi32, #r>
  tile.store %y[%j : tensor<2xi32, #r>], %s#1 : tensor<2xi32, #r> : !tile.ptr<i32, 16>
  tile.return
}
