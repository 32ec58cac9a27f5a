// Every rule of the tilegpu dialect's verifiers, by its label in compiler/ir/TileGpu.cpp.
// RUN: moec-opt %s -verify-diagnostics -split-input-file

// linear_c1
// expected-error @below {{not a linear layout}}
tile.kernel @k(%x: tensor<4xf32, #tilegpu.linear<"nonsense">>) {
  tile.return
}

// -----

// buffer_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
tile.kernel @k() {
  // expected-error @below {{every dimension of a buffer's tiles is a power of two}}
  %0 = tilegpu.alloc : !tilegpu.buffer<[4, 3] x f32, stages = 1, #s>
  tile.return
}

// -----

// buffer_c2
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
tile.kernel @k() {
  // expected-error @below {{a buffer has at least one stage}}
  %0 = tilegpu.alloc : !tilegpu.buffer<[4, 4] x f32, stages = 0, #s>
  tile.return
}

// -----

// stage_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
!b = !tilegpu.buffer<[4, 8] x f32, stages = 1, #s>
tile.kernel @k(%n: i32) {
  %b = tilegpu.alloc : !b
  %v = arith.constant dense<0.0> : tensor<8x4xf32>
  // expected-error @below {{'tilegpu.local_store' op the value has another shape or dtype than the buffer's tiles}}
  tilegpu.local_store %v, %b[%n] : tensor<8x4xf32>, !b
  tile.return
}

// -----

// stage_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
!b = !tilegpu.buffer<[4, 8] x f32, stages = 1, #s>
tile.kernel @k(%n: i32) {
  %b = tilegpu.alloc : !b
  // expected-error @below {{'tilegpu.local_load' op the result has another shape or dtype than the buffer's tiles}}
  %v = tilegpu.local_load %b[%n] trans : !b -> tensor<4x8xf32>
  tile.return
}

// -----

// local_load_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [0]>
!b = !tilegpu.buffer<[8] x f32, stages = 1, #s>
tile.kernel @k(%n: i32) {
  %b = tilegpu.alloc : !b
  // expected-error @below {{'tilegpu.local_load' op transposes tiles of at least two dimensions}}
  %v = tilegpu.local_load %b[%n] trans : !b -> tensor<8xf32>
  tile.return
}

// -----

// stage_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
!b = !tilegpu.buffer<[4, 8] x f32, stages = 1, #s>
tile.kernel @k(%p: !tile.ptr<f16>, %n: i32) {
  %b = tilegpu.alloc : !b
  %o = arith.constant dense<0> : tensor<4x8xi32>
  // expected-error @below {{'tilegpu.async_copy' op what is copied has another shape or dtype than the buffer's tiles}}
  tilegpu.async_copy %p[%o : tensor<4x8xi32>] to %b[%n] : !tile.ptr<f16>, !b
  tile.return
}

// -----

// async_copy_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
!b = !tilegpu.buffer<[4, 8] x f32, stages = 1, #s>
tile.kernel @k(%p: !tile.ptr<f32>, %n: i32) {
  %b = tilegpu.alloc : !b
  %o = arith.constant dense<0> : tensor<4x8xi32>
  %m = arith.constant dense<true> : tensor<4xi1>
  // expected-error @below {{'tilegpu.async_copy' op mask and offset have different shapes}}
  tilegpu.async_copy %p[%o : tensor<4x8xi32>] to %b[%n], mask %m : tensor<4xi1> : !tile.ptr<f32>, !b
  tile.return
}

// -----

// a wait's number of groups is not negative
tile.kernel @k() {
  // expected-error @below {{attribute 'pending' failed to satisfy constraint}}
  tilegpu.async_wait -1
  tile.return
}

// -----

// a conversion keeps the dtype
tile.kernel @k() {
  %v = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @below {{'tilegpu.convert_layout' op requires the same element type for all operands and results}}
  %0 = tilegpu.convert_layout %v : tensor<4xf32> -> tensor<4xf16>
  tile.return
}

// -----

// mbarrier_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [0]>
tile.kernel @k() {
  %0 = tilegpu.alloc : !tilegpu.buffer<[1] x i32, stages = 4, #s>
  // expected-error @below {{mbarriers are a buffer<[1] x i64, stages = …>, one per stage}}
  tilegpu.mbarrier_init %0, 1 : !tilegpu.buffer<[1] x i32, stages = 4, #s>
  tile.return
}

// -----

// tma_load_c1
#s = #tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, order = [1, 0]>
#p = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [0]>
tile.kernel @k(%m: !tilegpu.tensormap<[64, 64] x bf16>, %i: i32) {
  %0 = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %1 = tilegpu.alloc : !tilegpu.buffer<[1] x i64, stages = 1, #p>
  // expected-error @below {{one coordinate per dimension of the box, at most 5}}
  tilegpu.tma_load %m[%i] to %0[%i], %1[%i] : !tilegpu.tensormap<[64, 64] x bf16>, !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>, !tilegpu.buffer<[1] x i64, stages = 1, #p>
  tile.return
}

// -----

// wgmma_c1
#s = #tilegpu.swizzled<vec = 1, per_phase = 1, max_phase = 1, order = [1, 0]>
#mma = #tilegpu.mma<warps = [4, 1]>
tile.kernel @k(%i: i32, %f: f32) {
  %a = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %b = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %c = tile.splat %f : f32 -> tensor<64x64xf32, #mma>
  // expected-error @below {{operands are f16 or bf16 buffers with rows of 64 elements, swizzled by 128 bytes}}
  %0 = tilegpu.wgmma %a[%i], %b[%i], %c : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>, !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s> -> tensor<64x64xf32, #mma>
  tile.return
}

// -----

// wgmma_c2
#s = #tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, order = [1, 0]>
#mma = #tilegpu.mma<warps = [4, 1]>
tile.kernel @k(%i: i32, %f: f32) {
  %a = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %b = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %c = tile.splat %f : f32 -> tensor<64x32xf32, #mma>
  // expected-error @below {{the accumulator is f32 [rows of a, rows of b], at most 256 columns, a multiple of 8}}
  %0 = tilegpu.wgmma %a[%i], %b[%i], %c : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>, !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s> -> tensor<64x32xf32, #mma>
  tile.return
}

// -----

// wgmma_c3
#s = #tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, order = [1, 0]>
#mma = #tilegpu.mma<warps = [2, 2]>
tile.kernel @k(%i: i32, %f: f32) {
  %a = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %b = tilegpu.alloc : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>
  %c = tile.splat %f : f32 -> tensor<64x64xf32, #mma>
  // expected-error @below {{gives every warpgroup of 4 warps one block of 64 rows}}
  %0 = tilegpu.wgmma %a[%i], %b[%i], %c : !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s>, !tilegpu.buffer<[64, 64] x bf16, stages = 1, #s> -> tensor<64x64xf32, #mma>
  tile.return
}
