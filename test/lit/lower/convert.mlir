// tilegpu.convert_layout, from cheap to dear.
// RUN: moec-opt %s --split-input-file --pass-pipeline="builtin.module(tilegpu-allocate-shared{num-warps=4},tile.kernel(tilegpu-insert-barriers{num-warps=4}),tilegpu-lower-to-nvvm{num-warps=4})" | FileCheck %s

// Registers only get new names.
// CHECK-LABEL: llvm.func @registers
// CHECK-NOT: nvvm.shfl
// CHECK-NOT: llvm.select
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.return
#a = #tilegpu.linear<"register = [[1], [2]], lane = [[4], [8], [16], [32], [64]], warp = [[128], [256]]">
#b = #tilegpu.linear<"register = [[2], [1]], lane = [[4], [8], [16], [32], [64]], warp = [[128], [256]]">
tile.kernel @registers(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32, #a>
  %j = tile.arange 0 : tensor<512xi32, #b>
  %v = tile.load %x[%i : tensor<512xi32, #a>] : !tile.ptr<f32, 16> -> tensor<512xf32, #a>
  %w = tilegpu.convert_layout %v : tensor<512xf32, #a> -> tensor<512xf32, #b>
  tile.store %y[%j : tensor<512xi32, #b>], %w : tensor<512xf32, #b> : !tile.ptr<f32, 16>
  tile.return
}

// -----

// Two registers against one lane bit: one shuffle moves half of the values, selects sort them.
// CHECK-LABEL: llvm.func @shuffle
// CHECK: llvm.select
// CHECK-COUNT-1: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl
// CHECK-NOT: nvvm.barrier
// CHECK: llvm.return
#a = #tilegpu.linear<"register = [[1]], lane = [[2], [4], [8], [16], [32]], warp = [[64], [128]]">
#b = #tilegpu.linear<"register = [[2]], lane = [[1], [4], [8], [16], [32]], warp = [[64], [128]]">
tile.kernel @shuffle(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<256xi32, #a>
  %j = tile.arange 0 : tensor<256xi32, #b>
  %v = tile.load %x[%i : tensor<256xi32, #a>] : !tile.ptr<f32, 16> -> tensor<256xf32, #a>
  %w = tilegpu.convert_layout %v : tensor<256xf32, #a> -> tensor<256xf32, #b>
  tile.store %y[%j : tensor<256xi32, #b>], %w : tensor<256xf32, #b> : !tile.ptr<f32, 16>
  tile.return
}

// -----

// A transposition across warps: 16-byte accesses on both sides of one barrier.
// CHECK-LABEL: module attributes {tilegpu.shared_bytes = 8192
// CHECK: llvm.store {{.*}} : vector<4xi32>, !llvm.ptr<3>
// CHECK: nvvm.barrier0
// CHECK: llvm.load {{.*}} : !llvm.ptr<3> -> vector<4xi32>
// CHECK-NOT: nvvm.barrier0
// CHECK: llvm.return
#a = #tilegpu.linear<"register = [[0, 1], [0, 2], [0, 4], [32, 0], [16, 0]], lane = [[0, 8], [0, 16], [0, 32], [1, 0], [2, 0]], warp = [[4, 0], [8, 0]]">
#b = #tilegpu.linear<"register = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], lane = [[0, 8], [0, 16], [0, 32], [4, 0], [8, 0]], warp = [[16, 0], [32, 0]]">
#fa = #tilegpu.linear<"register = [[1], [2], [4], [2048], [1024]], lane = [[8], [16], [32], [64], [128]], warp = [[256], [512]]">
#fb = #tilegpu.linear<"register = [[1], [2], [4], [64], [128]], lane = [[8], [16], [32], [256], [512]], warp = [[1024], [2048]]">
tile.kernel @shared(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<4096xi32, #fa>
  %j = tile.arange 0 : tensor<4096xi32, #fb>
  %ia = tile.reshape %i : tensor<4096xi32, #fa> -> tensor<64x64xi32, #a>
  %jb = tile.reshape %j : tensor<4096xi32, #fb> -> tensor<64x64xi32, #b>
  %v = tile.load %x[%ia : tensor<64x64xi32, #a>] : !tile.ptr<bf16, 16> -> tensor<64x64xbf16, #a>
  %w = tilegpu.convert_layout %v : tensor<64x64xbf16, #a> -> tensor<64x64xbf16, #b>
  tile.store %y[%jb : tensor<64x64xi32, #b>], %w : tensor<64x64xbf16, #b> : !tile.ptr<bf16, 16>
  tile.return
}
