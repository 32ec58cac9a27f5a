// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tile.kernel(tilegpu-remove-conversions))" | FileCheck %s

#from = #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>
#to = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// What comes from arange and constants by cheap ops is computed again in the wanted layout, with all that it comes from.
// CHECK-LABEL: tile.kernel @cheap
// CHECK-NOT: tilegpu.convert_layout
// CHECK: %[[I:.*]] = tile.arange 0 : tensor<512xi32, #tilegpu.blocked<size = [4],
// CHECK: %[[O:.*]] = arith.addi %[[I]], %{{.*}} : tensor<512xi32, #tilegpu.blocked<size = [4],
// CHECK: tile.store %arg0[%[[O]] : tensor<512xi32, #tilegpu.blocked<size = [4],
// CHECK-NOT: tilegpu.convert_layout
tile.kernel @cheap(%x: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32, #from>
  %c = arith.constant dense<16> : tensor<512xi32, #from>
  %sum = arith.addi %i, %c : tensor<512xi32, #from>
  %o = tilegpu.convert_layout %sum : tensor<512xi32, #from> -> tensor<512xi32, #to>
  %v = arith.constant dense<0.0> : tensor<512xf32, #to>
  tile.store %x[%o : tensor<512xi32, #to>], %v : tensor<512xf32, #to> : !tile.ptr<f32, 16>
  tile.return
}

// -----

#from = #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>
#to = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// Loads and functions are not repeated: their results are converted.
// CHECK-LABEL: tile.kernel @dear
// CHECK-COUNT-1: tile.load
// CHECK-NOT: tile.load
// CHECK-COUNT-1: math.exp
// CHECK-NOT: math.exp
// CHECK: tilegpu.convert_layout
tile.kernel @dear(%x: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32, #from>
  %o = tile.arange 0 : tensor<512xi32, #to>
  %v = tile.load %x[%i : tensor<512xi32, #from>] : !tile.ptr<f32, 16> -> tensor<512xf32, #from>
  %e = math.exp %v : tensor<512xf32, #from>
  %w = tilegpu.convert_layout %e : tensor<512xf32, #from> -> tensor<512xf32, #to>
  tile.store %x[%o : tensor<512xi32, #to>], %w : tensor<512xf32, #to> : !tile.ptr<f32, 16>
  tile.return
}
