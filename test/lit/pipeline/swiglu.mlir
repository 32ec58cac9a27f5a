// The whole way of a small kernel: weighted SwiGLU over bf16 rows, 4 warps, 1024 columns per program.
// REQUIRES: cuda
// RUN: moec-translate --emit tile %s | FileCheck %s --check-prefix=TILE
// RUN: moec-translate --emit tilegpu %s | FileCheck %s --check-prefix=GPU
// RUN: moec-translate --emit nvvm %s | FileCheck %s --check-prefix=NVVM
// RUN: moec-translate --emit ptx --target sm_80 %s | FileCheck %s --check-prefix=PTX
// RUN: moec-translate --emit ptx --target sm_90a %s | FileCheck %s --check-prefix=PTX
// RUN: moec-translate --emit ptx --target sm_100a %s | FileCheck %s --check-prefix=PTX
// RUN: moec-translate --emit resources %s | FileCheck %s --check-prefix=RES

// Rows are in range by the grid, y's columns by divisibility: only x's loads keep a mask.
// TILE: tile.kernel @weighted_swiglu
// TILE: tile.load {{.*}} : <f32> -> f32
// TILE: tile.load {{.*}} mask
// TILE: tile.load {{.*}} mask
// TILE: tile.store
// TILE-NOT: mask
// TILE: tile.return

// GPU: #tilegpu.blocked<size = [8], threads = [32], warps = [4], order = [0]>
// GPU-NOT: tilegpu.convert_layout
// GPU: tile.return

// NVVM: llvm.func @weighted_swiglu(
// NVVM-SAME: nvvm.kernel
// NVVM-NOT: tile.

// PTX: .visible .entry weighted_swiglu(
// PTX-COUNT-2: ld.global.v{{4.b32|2.b64}}
// PTX-COUNT-8: ex2.approx.ftz.f32
// PTX: st.global.v4.b32
// PTX-NOT: bar.sync

// RES-DAG: "local_bytes":0
// RES-DAG: "spill_bytes":0
// RES-DAG: "shared_bytes":0
// RES-DAG: "threads":128

!mat = !tile.view<bf16, sizes = [1, 1024], strides = [8, 0], align = 16, wide = false>
!vec = !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
tile.kernel @weighted_swiglu(%y: !mat, %x: !mat, %w: !vec) {
  %c2 = arith.constant 2 : i32
  %c1023 = arith.constant 1023 : i32
  %c1024 = arith.constant 1024 : i32
  %tokens = tile.dim %y, 0 : !mat
  %hidden = tile.dim %y, 1 : !mat
  %both = arith.muli %hidden, %c2 : i32
  tile.expect %x, [%tokens, %both] : !mat
  tile.expect %w, [%tokens] : !vec
  %up = arith.addi %hidden, %c1023 : i32
  %blocks = arith.divsi %up, %c1024 : i32
  tile.grid %tokens, %blocks
  %t = tile.program_id 0
  %b = tile.program_id 1
  %col = arith.muli %b, %c1024 : i32
  %lanes = tile.arange 0 : tensor<1024xi32>
  %base = tile.splat %col : i32 -> tensor<1024xi32>
  %h = arith.addi %base, %lanes : tensor<1024xi32>
  %weight = tile.view_load %w[%t : i32] clip [true] : !vec -> f32
  %g16 = tile.view_load %x[%t, %h : i32, tensor<1024xi32>] clip [true, true] : !mat -> tensor<1024xbf16>
  %shift = tile.splat %hidden : i32 -> tensor<1024xi32>
  %hu = arith.addi %h, %shift : tensor<1024xi32>
  %u16 = tile.view_load %x[%t, %hu : i32, tensor<1024xi32>] clip [true, true] : !mat -> tensor<1024xbf16>
  %g = tile.cast %g16 : tensor<1024xbf16> -> tensor<1024xf32>
  %u = tile.cast %u16 : tensor<1024xbf16> -> tensor<1024xf32>
  %sig = tile.sigmoid %g : tensor<1024xf32>
  %silu = arith.mulf %g, %sig : tensor<1024xf32>
  %prod = arith.mulf %silu, %u : tensor<1024xf32>
  %ws = tile.splat %weight : f32 -> tensor<1024xf32>
  %out = arith.mulf %prod, %ws : tensor<1024xf32>
  %o16 = tile.cast %out : tensor<1024xf32> -> tensor<1024xbf16>
  tile.view_store %y[%t, %h : i32, tensor<1024xi32>], %o16 : tensor<1024xbf16> clip [true, true] : !mat
  tile.return
}
