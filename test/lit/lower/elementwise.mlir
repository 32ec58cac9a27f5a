// Register by register; index arithmetic once per thread, narrow floats through f32 with one rounding.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm{num-warps=1})" | FileCheck %s

#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [1], order = [0]>

// Four registers, but one multiplication and one addition: the constants are added at the end.
// CHECK-LABEL: llvm.func @index
// CHECK: %[[T:.*]] = llvm.shl %{{.*}}, %{{.*}} : i32
// CHECK: %[[P:.*]] = llvm.mul %[[T]], %[[THREE:.*]] : i32
// CHECK-NOT: llvm.mul
// CHECK: %[[S:.*]] = llvm.add %[[P]], %arg1
// CHECK-DAG: llvm.add %[[S]], %{{.*}}
// CHECK-DAG: llvm.add %[[S]], %{{.*}}
// CHECK-DAG: llvm.add %[[S]], %{{.*}}
tile.kernel @index(%y: !tile.ptr<i32, 16>, %n: i32) {
  %i = tile.arange 0 : tensor<128xi32, #v4>
  %c3 = arith.constant dense<3> : tensor<128xi32, #v4>
  %m = arith.muli %i, %c3 : tensor<128xi32, #v4>
  %ns = tile.splat %n : i32 -> tensor<128xi32, #v4>
  %s = arith.addi %m, %ns : tensor<128xi32, #v4>
  tile.store %y[%i : tensor<128xi32, #v4>], %s : tensor<128xi32, #v4> : !tile.ptr<i32, 16>
  tile.return
}

// -----
#v2 = #tilegpu.blocked<size = [2], threads = [32], warps = [1], order = [0]>
// bf16: shift and mask out of the loaded word, f32 product, one packed conversion whose word is stored.
// CHECK-LABEL: llvm.func @bf16_mul
// CHECK: %[[W:.*]] = llvm.load {{.*}} -> i32
// CHECK: %[[LO:.*]] = llvm.shl %[[W]], %{{.*}} : i32
// CHECK: llvm.bitcast %[[LO]] : i32 to f32
// CHECK: %[[HI:.*]] = llvm.and %[[W]], %{{.*}} : i32
// CHECK: llvm.bitcast %[[HI]] : i32 to f32
// CHECK-COUNT-2: llvm.fmul {{.*}} : f32
// CHECK: %[[R:.*]] = llvm.fptrunc %{{.*}} : vector<2xf32> to vector<2xbf16>
// CHECK-NEXT: %[[RW:.*]] = llvm.bitcast %[[R]] : vector<2xbf16> to i32
// CHECK-NEXT: llvm.getelementptr
// CHECK-NEXT: llvm.store %[[RW]]
tile.kernel @bf16_mul(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<64xi32, #v2>
  %v = tile.load %x[%i : tensor<64xi32, #v2>] : !tile.ptr<bf16, 16> -> tensor<64xbf16, #v2>
  %r = arith.mulf %v, %v : tensor<64xbf16, #v2>
  tile.store %y[%i : tensor<64xi32, #v2>], %r : tensor<64xbf16, #v2> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
#v2 = #tilegpu.blocked<size = [2], threads = [32], warps = [1], order = [0]>
// Equal registers are computed once.
// CHECK-LABEL: llvm.func @duplicates
// CHECK: llvm.fadd
// CHECK-NOT: llvm.fadd
// CHECK: llvm.call @__nv_expf
// CHECK-NOT: llvm.call
tile.kernel @duplicates(%y: !tile.ptr<f32, 16>, %a: f32) {
  %i = tile.arange 0 : tensor<64xi32, #v2>
  %s = tile.splat %a : f32 -> tensor<64xf32, #v2>
  %d = arith.addf %s, %s : tensor<64xf32, #v2>
  %e = math.exp %d : tensor<64xf32, #v2>
  tile.store %y[%i : tensor<64xi32, #v2>], %e : tensor<64xf32, #v2> : !tile.ptr<f32, 16>
  tile.return
}

// -----
// Named approximations are the hardware's instructions.
// CHECK-LABEL: llvm.func @approximations
// CHECK: %[[T:.*]] = llvm.fmul %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: %[[E:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"(%[[T]])
// CHECK-NEXT: %[[D:.*]] = llvm.fadd %[[E]], %{{.*}} : f32
// CHECK-NEXT: llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"(%[[D]])
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"
// CHECK: llvm.call_intrinsic "llvm.nvvm.div.approx.f"
// CHECK: llvm.intr.sqrt
// CHECK: llvm.fdiv
tile.kernel @approximations(%y: !tile.ptr<f32>, %a: f32) {
  %c0 = arith.constant 0 : i32
  %s = tile.sigmoid %a : f32
  %e = tile.fast_exp2 %s : f32
  %d = tile.fast_div %e, %a : f32
  %q = math.sqrt %d : f32
  %r = arith.divf %q, %a : f32
  tile.store %y[%c0 : i32], %r : f32 : !tile.ptr<f32>
  tile.return
}
