// RUN: moec-opt %s --pass-pipeline="builtin.module(tile.kernel(tilegpu-insert-barriers{num-warps=4}))" --verify-diagnostics

// Without tilegpu-allocate-shared before it the pass knows no places.
#lanes = #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>
tile.kernel @sum(%x: !tile.ptr<f32>) {
  %c0 = arith.constant 0 : i32
  %v = arith.constant dense<1.0> : tensor<128xf32, #lanes>
  // expected-error @below {{'tile.reduce' op has no place in shared memory yet: run tilegpu-allocate-shared before this pass}}
  %s = "tile.reduce"(%v) <{axis = 0 : i32}> ({
  ^bb0(%a: f32, %b: f32):
    %t = arith.addf %a, %b : f32
    tile.yield %t : f32
  }) : (tensor<128xf32, #lanes>) -> f32
  tile.store %x[%c0 : i32], %s : f32 : !tile.ptr<f32>
  tile.return
}
