// Accesses as wide as alignment, neighbours and masks allow; one address per thread, constants in the access.
// RUN: moec-opt %s -split-input-file --pass-pipeline="builtin.module(tilegpu-lower-to-nvvm)" | FileCheck %s

#v8 = #tilegpu.blocked<size = [8], threads = [32], warps = [4], order = [0]>
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// 2048 bf16: two 16-byte loads per thread from one address, 2048 bytes apart.
// CHECK-LABEL: llvm.func @copy
// CHECK-SAME: nvvm.kernel, nvvm.reqntid = array<i32: 128>
// CHECK: %[[TID:.*]] = nvvm.read.ptx.sreg.tid.x range <i32, 0, 128>
// CHECK: %[[AT:.*]] = llvm.shl %[[TID]],
// CHECK: %[[X:.*]] = llvm.getelementptr %arg0[%[[AT]]] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, bf16
// CHECK-NEXT: %[[X1:.*]] = llvm.getelementptr %[[X]][1024]
// CHECK-NEXT: %[[V0:.*]] = llvm.load %[[X]] {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NEXT: %[[V1:.*]] = llvm.load %[[X1]] {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: llvm.load
// CHECK-COUNT-2: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xi32>
// CHECK-NOT: llvm.store
tile.kernel @copy(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>) {
  %i = tile.arange 0 : tensor<2048xi32, #v8>
  %v = tile.load %x[%i : tensor<2048xi32, #v8>] : !tile.ptr<bf16, 16> -> tensor<2048xbf16, #v8>
  tile.store %y[%i : tensor<2048xi32, #v8>], %v : tensor<2048xbf16, #v8> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// A base that is known to be aligned to 4 bytes only: single elements.
// CHECK-LABEL: llvm.func @unaligned
// CHECK-COUNT-4: llvm.load {{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> f32
tile.kernel @unaligned(%x: !tile.ptr<f32>, %y: !tile.ptr<f32, 16>) {
  %i = tile.arange 0 : tensor<512xi32, #v4>
  %v = tile.load %x[%i : tensor<512xi32, #v4>] : !tile.ptr<f32> -> tensor<512xf32, #v4>
  // CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xf32>
  tile.store %y[%i : tensor<512xi32, #v4>], %v : tensor<512xf32, #v4> : !tile.ptr<f32, 16>
  tile.return
}

// -----
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// A bound that is a multiple of 4 masks whole vectors: one comparison, one branch, one access.
// CHECK-LABEL: llvm.func @masked
// CHECK: %[[M:.*]] = llvm.icmp "ult"
// CHECK-NOT: llvm.icmp
// CHECK: llvm.cond_br %[[M]], ^[[LOAD:bb.*]], ^[[JOIN:bb.*]](%{{.*}} : vector<4xf32>)
// CHECK: ^[[LOAD]]:
// CHECK-NEXT: llvm.load {{.*}} -> vector<4xf32>
// CHECK-NEXT: llvm.br ^[[JOIN]]
// CHECK: llvm.cond_br %[[M]]
// CHECK: llvm.store {{.*}} : vector<4xf32>
tile.kernel @masked(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>, %n: i32 {tile.divisor = 16 : i64}) {
  %p = tile.program_id 0
  %b = arith.constant 512 : i32
  %o = arith.muli %p, %b : i32
  %os = tile.splat %o : i32 -> tensor<512xi32, #v4>
  %a = tile.arange 0 : tensor<512xi32, #v4>
  %i = arith.addi %os, %a : tensor<512xi32, #v4>
  %ns = tile.splat %n : i32 -> tensor<512xi32, #v4>
  %m = arith.cmpi ult, %i, %ns : tensor<512xi32, #v4>
  %v = tile.load %x[%i : tensor<512xi32, #v4>], mask %m : tensor<512xi1, #v4> : !tile.ptr<f32, 16> -> tensor<512xf32, #v4>
  tile.store %y[%i : tensor<512xi32, #v4>], %v : tensor<512xf32, #v4>, mask %m : tensor<512xi1, #v4> : !tile.ptr<f32, 16>
  tile.return
}

// -----
#v1 = #tilegpu.blocked<size = [1], threads = [32], warps = [4], order = [0]>

// Eight elements, 128 threads: loads are repeated, the store is done once per element.
// CHECK-LABEL: llvm.func @owner
// CHECK: %[[HIGH:.*]] = llvm.mlir.constant(120 : i32)
// CHECK: %[[REST:.*]] = llvm.and %{{.*}}, %[[HIGH]]
// CHECK: %[[OWNER:.*]] = llvm.icmp "eq" %[[REST]]
// CHECK: llvm.load
// CHECK: llvm.cond_br %[[OWNER]]
// CHECK: llvm.store
tile.kernel @owner(%x: !tile.ptr<i32, 16>, %y: !tile.ptr<i32, 16>) {
  %i = tile.arange 0 : tensor<8xi32, #v1>
  %v = tile.load %x[%i : tensor<8xi32, #v1>] : !tile.ptr<i32, 16> -> tensor<8xi32, #v1>
  tile.store %y[%i : tensor<8xi32, #v1>], %v : tensor<8xi32, #v1> : !tile.ptr<i32, 16>
  tile.return
}

// -----
#rows = #tilegpu.blocked<size = [1, 8], threads = [4, 8], warps = [4, 1], order = [1, 0]>
#row = #tilegpu.slice<dim = 1, size = 1, parent = #rows>
#col = #tilegpu.slice<dim = 0, size = 1, parent = #rows>

// i64 offsets keep their constants through the sign extension.
// CHECK-LABEL: llvm.func @wide
// CHECK-COUNT-2: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: llvm.load
tile.kernel @wide(%x: !tile.ptr<bf16, 16>, %y: !tile.ptr<bf16, 16>, %stride: i64 {tile.divisor = 8 : i64}) {
  %r = tile.arange 0 : tensor<32xi32, #row>
  %r64 = arith.extsi %r : tensor<32xi32, #row> to tensor<32xi64, #row>
  %s = tile.splat %stride : i64 -> tensor<32xi64, #row>
  %ro = arith.muli %r64, %s : tensor<32xi64, #row>
  %r1 = tile.expand_dims %ro, 1 : tensor<32xi64, #row> -> tensor<32x1xi64, #rows>
  %rb = tile.broadcast %r1 : tensor<32x1xi64, #rows> -> tensor<32x64xi64, #rows>
  %c = tile.arange 0 : tensor<64xi32, #col>
  %c64 = arith.extsi %c : tensor<64xi32, #col> to tensor<64xi64, #col>
  %c1 = tile.expand_dims %c64, 0 : tensor<64xi64, #col> -> tensor<1x64xi64, #rows>
  %cb = tile.broadcast %c1 : tensor<1x64xi64, #rows> -> tensor<32x64xi64, #rows>
  %o = arith.addi %rb, %cb : tensor<32x64xi64, #rows>
  %v = tile.load %x[%o : tensor<32x64xi64, #rows>] : !tile.ptr<bf16, 16> -> tensor<32x64xbf16, #rows>
  tile.store %y[%o : tensor<32x64xi64, #rows>], %v : tensor<32x64xbf16, #rows> : !tile.ptr<bf16, 16>
  tile.return
}

// -----
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [1], order = [0]>

// i1 takes a byte of 0 or 1; four travel as one word.
// CHECK-LABEL: llvm.func @bools
// CHECK: llvm.load {{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> i32
// CHECK: llvm.icmp "ne" %{{.*}} : i8
// CHECK: llvm.zext %{{.*}} : i1 to i8
// CHECK: llvm.store {{.*}} {alignment = 4 : i64} : i32
tile.kernel @bools(%x: !tile.ptr<i1, 16>, %y: !tile.ptr<i1, 16>) {
  %i = tile.arange 0 : tensor<128xi32, #v4>
  %v = tile.load %x[%i : tensor<128xi32, #v4>] : !tile.ptr<i1, 16> -> tensor<128xi1, #v4>
  tile.store %y[%i : tensor<128xi32, #v4>], %v : tensor<128xi1, #v4> : !tile.ptr<i1, 16>
  tile.return
}

// -----
#v4 = #tilegpu.blocked<size = [4], threads = [32], warps = [4], order = [0]>

// Two blocks of lanes have two masks, so each tile takes two loads. A load passes loads under other masks to join the guard
// of its own: two guards for the first four loads. The stores keep the loads after them behind.
// CHECK-LABEL: llvm.func @passing
// CHECK: llvm.cond_br %[[M0:.*]], ^[[T0:bb[0-9]+]], ^[[J0:bb[0-9]+]](
// CHECK-NEXT: ^[[T0]]:
// CHECK-COUNT-2: llvm.load
// CHECK-NEXT: llvm.br ^[[J0]]
// CHECK-NEXT: ^[[J0]](
// CHECK: llvm.cond_br %[[M1:.*]], ^[[T1:bb[0-9]+]], ^[[J1:bb[0-9]+]](
// CHECK-NEXT: ^[[T1]]:
// CHECK-COUNT-2: llvm.load
// CHECK-NEXT: llvm.br ^[[J1]]
// CHECK: llvm.cond_br %[[M0]], ^[[T2:bb[0-9]+]], ^[[J2:bb[0-9]+]]
// CHECK-NEXT: ^[[T2]]:
// CHECK-NEXT: llvm.store
// CHECK-NEXT: llvm.br ^[[J2]]
// CHECK: llvm.cond_br %[[M1]], ^[[T3:bb[0-9]+]], ^[[J3:bb[0-9]+]](
// CHECK-NEXT: ^[[T3]]:
// CHECK-NEXT: llvm.store
// CHECK-NEXT: llvm.load
// CHECK-NEXT: llvm.br ^[[J3]]
// CHECK: llvm.cond_br %[[M0]], ^[[T4:bb[0-9]+]], ^[[J4:bb[0-9]+]](
// CHECK-NEXT: ^[[T4]]:
// CHECK-NEXT: llvm.load
// CHECK-NEXT: llvm.br ^[[J4]]
tile.kernel @passing(%x: !tile.ptr<f32, 16>, %y: !tile.ptr<f32, 16>, %n: i32 {tile.divisor = 16 : i64}) {
  %i = tile.arange 0 : tensor<1024xi32, #v4>
  %ns = tile.splat %n : i32 -> tensor<1024xi32, #v4>
  %m = arith.cmpi ult, %i, %ns : tensor<1024xi32, #v4>
  %v = tile.load %x[%i : tensor<1024xi32, #v4>], mask %m : tensor<1024xi1, #v4> : !tile.ptr<f32, 16> -> tensor<1024xf32, #v4>
  %w = tile.load %y[%i : tensor<1024xi32, #v4>], mask %m : tensor<1024xi1, #v4> : !tile.ptr<f32, 16> -> tensor<1024xf32, #v4>
  %s = arith.addf %v, %w : tensor<1024xf32, #v4>
  tile.store %y[%i : tensor<1024xi32, #v4>], %s : tensor<1024xf32, #v4>, mask %m : tensor<1024xi1, #v4> : !tile.ptr<f32, 16>
  %z = tile.load %x[%i : tensor<1024xi32, #v4>], mask %m : tensor<1024xi1, #v4> : !tile.ptr<f32, 16> -> tensor<1024xf32, #v4>
  tile.store %y[%i : tensor<1024xi32, #v4>], %z : tensor<1024xf32, #v4>, mask %m : tensor<1024xi1, #v4> : !tile.ptr<f32, 16>
  tile.return
}
