// Shape ops rename registers: nothing is emitted for them.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm{num-warps=1})" | FileCheck %s
// RUN: not moec-opt %S/Inputs/shape_mismatch.mlir --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm{num-warps=1})" 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: the layouts of operand and result do not fit: lane bit 0 moves different elements

#rows = #tilegpu.blocked<size = [2, 2], threads = [8, 4], warps = [1, 1], order = [1, 0]>
#cols = #tilegpu.blocked<size = [2, 2], threads = [4, 8], warps = [1, 1], order = [0, 1]>
#row = #tilegpu.slice<dim = 1, size = 1, parent = #rows>

// Two row values per thread, each for two columns; then transposed into a layout that keeps everything in place.
// CHECK-LABEL: llvm.func @broadcast
// CHECK: %[[W0:.*]] = llvm.extractelement %[[V:.*]][%{{.*}}] : vector<2xf32>
// CHECK: %[[W1:.*]] = llvm.extractelement %[[V]][%{{.*}}] : vector<2xf32>
// CHECK-NOT: llvm.f
// CHECK: llvm.insertelement %[[W0]]
// CHECK-NEXT: llvm.insertelement %[[W0]]
// CHECK: llvm.insertelement %[[W1]]
// CHECK-NEXT: llvm.insertelement %[[W1]]
tile.kernel @broadcast(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>) {
  %r = tile.arange 0 : tensor<16xi32, #row>
  %v = tile.load %x[%r : tensor<16xi32, #row>] : !tile.ptr<f32, 16> -> tensor<16xf32, #row>
  %v1 = tile.expand_dims %v, 1 : tensor<16xf32, #row> -> tensor<16x1xf32, #rows>
  %vb = tile.broadcast %v1 : tensor<16x1xf32, #rows> -> tensor<16x8xf32, #rows>
  %t = tile.trans %vb, [1, 0] : tensor<16x8xf32, #rows> -> tensor<8x16xf32, #cols>
  %back = tile.trans %t, [1, 0] : tensor<8x16xf32, #cols> -> tensor<16x8xf32, #rows>
  %i = tile.arange 0 : tensor<128xi32, #tilegpu.linear<"register = [[1], [8]], lane = [[2], [4], [16], [32], [64]], warp = []">>
  %i2 = tile.reshape %i : tensor<128xi32, #tilegpu.linear<"register = [[1], [8]], lane = [[2], [4], [16], [32], [64]], warp = []">> -> tensor<16x8xi32, #rows>
  tile.store %y[%i2 : tensor<16x8xi32, #rows>], %back : tensor<16x8xf32, #rows> : !tile.ptr<f32, 16>
  tile.return
}
