// tile.sort: keys of value and position go through a bitonic network; what else moves is fetched by position.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// 64 integers in one warp, alone: equal ones are the same, so keys are the integers with the sign flipped, compared by butterflies.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 0
// CHECK: llvm.xor
// CHECK: nvvm.shfl.sync bfly
// CHECK: llvm.icmp "ult" {{.*}} : i32
// CHECK-NOT: i32 to i64
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [[1]], lane = [[2], [4], [8], [16], [32]], warp = [[64], [128]]">
#t = #tilegpu.linear<"register = [[0, 1]], lane = [[0, 2], [0, 4], [0, 8], [0, 16], [0, 32]], warp = [[1, 0], [2, 0]]">
tile.kernel @integers(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %f = tile.arange 0 : tensor<256xi32, #l>
  %i = tile.reshape %f : tensor<256xi32, #l> -> tensor<4x64xi32, #t>
  %v = tile.load %x[%i : tensor<4x64xi32, #t>] : !tile.ptr<i32, 16> -> tensor<4x64xi32, #t>
  %s = "tile.sort"(%v) : (tensor<4x64xi32, #t>) -> tensor<4x64xi32, #t>
  tile.store %y[%i : tensor<4x64xi32, #t>], %s : tensor<4x64xi32, #t> : !tile.ptr<i32, 16>
  tile.return
}

// -----

// bf16 keys and positions fit into 32 bits. Floats are fetched, for the sake of -0 and NaN: written once, one barrier, read by position.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 512
// CHECK: llvm.zext {{.*}} : i16 to i32
// CHECK: llvm.icmp "ult" {{.*}} : i32
// CHECK: llvm.store {{.*}} !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> bf16
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
#l = #tilegpu.linear<"register = [[1]], lane = [[2], [4], [8], [16], [32]], warp = [[64], [128]]">
#t = #tilegpu.linear<"register = [[0, 1]], lane = [[0, 2], [0, 4], [0, 8], [0, 16], [0, 32]], warp = [[1, 0], [2, 0]]">
tile.kernel @floats(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %f = tile.arange 0 : tensor<256xi32, #l>
  %i = tile.reshape %f : tensor<256xi32, #l> -> tensor<4x64xi32, #t>
  %v = tile.load %x[%i : tensor<4x64xi32, #t>] : !tile.ptr<bf16, 16> -> tensor<4x64xbf16, #t>
  %s = "tile.sort"(%v) <{descending}> : (tensor<4x64xbf16, #t>) -> tensor<4x64xbf16, #t>
  tile.store %y[%i : tensor<4x64xi32, #t>], %s : tensor<4x64xbf16, #t> : !tile.ptr<bf16, 16>
  tile.return
}

// -----

// Across warps, keys change places through shared memory.
// CHECK-LABEL: llvm.func @warps
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> i32
// CHECK: nvvm.barrier0
#l = #tilegpu.linear<"register = [], lane = [[1], [2], [4], [8], [16]], warp = [[32], [64]]">
tile.kernel @warps(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #l>
  %v = tile.load %x[%i : tensor<128xi32, #l>] : !tile.ptr<i32, 16> -> tensor<128xi32, #l>
  %s = "tile.sort"(%v) : (tensor<128xi32, #l>) -> tensor<128xi32, #l>
  tile.store %y[%i : tensor<128xi32, #l>], %s : tensor<128xi32, #l> : !tile.ptr<i32, 16>
  tile.return
}
