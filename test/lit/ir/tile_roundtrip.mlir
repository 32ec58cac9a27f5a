// Every op in every dtype: what is printed parses back to the same, in the pretty and in the generic form, and nothing of an op is lost in
// the pretty form. Floats that have no short decimal form are printed by their bits.
// RUN: moec-opt %s > %t.pretty
// RUN: moec-opt %s -mlir-print-op-generic > %t.generic
// RUN: moec-opt %t.pretty | diff %t.pretty -
// RUN: moec-opt %t.generic | diff %t.pretty -
// RUN: moec-opt %t.pretty -mlir-print-op-generic | diff %t.generic -
// RUN: FileCheck %s < %t.pretty


// CHECK-LABEL: tile.kernel @memory_i1(
tile.kernel @memory_i1(%p: !tile.ptr<i1, 16>, %v1: !tile.view<i1, sizes = [1], strides = [0], align = 1, wide = false>, %v2: !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, %v3: !tile.view<i1, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>, %s: i1, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : i1 -> tensor<8xi1>
  %q = tile.addptr %p, %n : !tile.ptr<i1, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<i1>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<i1, 16> -> i1
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : i1 : !tile.ptr<i1> -> i1
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<i1, 16> -> tensor<8xi1>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<i1, 16> -> tensor<8xi1>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : i1 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : i1 : !tile.ptr<i1, 16> -> tensor<8xi1>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : i1 : !tile.ptr<i1, 16> -> tensor<8xi1>
  tile.store %p[%n : i32], %s : i1 : !tile.ptr<i1, 16>
  tile.store %p[%w : i64], %s : i1, mask %c : i1 : !tile.ptr<i1, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xi1> : !tile.ptr<i1, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xi1>, mask %m : tensor<8xi1> : !tile.ptr<i1, 16>
  %d = tile.dim %v3, 2 : !tile.view<i1, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<i1, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true> -> !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<i1, sizes = [1], strides = [0], align = 1, wide = false> -> i1
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi1>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : i1 clip [true, true] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi1>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : i1 clip [false, false] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi1>
  tile.view_store %v1[%n : i32], %s : i1 clip [false] : !tile.view<i1, sizes = [1], strides = [0], align = 1, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xi1>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<4x8xi1>
  %h = tile.block_load %v1[%n : i32], other %s : i1 : !tile.view<i1, sizes = [1], strides = [0], align = 1, wide = false> -> tensor<8xi1>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<i1, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, tensor<4x8xi1>
  %r0 = tile.reshape %g : tensor<4x8xi1> -> tensor<32xi1>
  %r1 = tile.expand_dims %t, 1 : tensor<8xi1> -> tensor<8x1xi1>
  %r2 = tile.broadcast %r1 : tensor<8x1xi1> -> tensor<8x4xi1>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xi1> -> tensor<4x8xi1>
  %z0 = arith.select %c, %t, %l2 : tensor<8xi1>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xi1>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xi1>, tensor<8xi32>) -> (tensor<8xi1>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xi1>) -> tensor<8xi1>
  %top, %pos = tile.topk %t, 4 : tensor<8xi1> -> tensor<4xi1>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: i1, %y: i1):
    tile.yield %y : i1
  }) {axis = 1 : i32} : (tensor<4x8xi1>) -> tensor<4xi1>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: i1, %xi: i32, %y: i1, %yi: i32):
    tile.yield %x, %yi : i1, i32
  }) {axis = 0 : i32} : (tensor<8xi1>, tensor<8xi32>) -> (i1, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: i1, %y: i1):
    tile.yield %x : i1
  }) {axis = 0 : i32, reverse} : (tensor<8xi1>) -> tensor<8xi1>
  %cast_i1 = tile.cast %t : tensor<8xi1> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xi1> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xi1> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xi1> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xi1> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xi1> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xi1> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xi1> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xi1> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xi1> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : i1 -> f32
  tile.return
}

tile.kernel @arithmetic_i1(%s: i1) {
  %t = tile.splat %s : i1 -> tensor<8xi1>
  %addi = arith.addi %t, %t : tensor<8xi1>
  %addi_s = arith.addi %s, %s : i1
  %subi = arith.subi %t, %t : tensor<8xi1>
  %subi_s = arith.subi %s, %s : i1
  %muli = arith.muli %t, %t : tensor<8xi1>
  %muli_s = arith.muli %s, %s : i1
  %divsi = arith.divsi %t, %t : tensor<8xi1>
  %divsi_s = arith.divsi %s, %s : i1
  %divui = arith.divui %t, %t : tensor<8xi1>
  %divui_s = arith.divui %s, %s : i1
  %remsi = arith.remsi %t, %t : tensor<8xi1>
  %remsi_s = arith.remsi %s, %s : i1
  %remui = arith.remui %t, %t : tensor<8xi1>
  %remui_s = arith.remui %s, %s : i1
  %floordivsi = arith.floordivsi %t, %t : tensor<8xi1>
  %floordivsi_s = arith.floordivsi %s, %s : i1
  %ceildivsi = arith.ceildivsi %t, %t : tensor<8xi1>
  %ceildivsi_s = arith.ceildivsi %s, %s : i1
  %ceildivui = arith.ceildivui %t, %t : tensor<8xi1>
  %ceildivui_s = arith.ceildivui %s, %s : i1
  %andi = arith.andi %t, %t : tensor<8xi1>
  %andi_s = arith.andi %s, %s : i1
  %ori = arith.ori %t, %t : tensor<8xi1>
  %ori_s = arith.ori %s, %s : i1
  %xori = arith.xori %t, %t : tensor<8xi1>
  %xori_s = arith.xori %s, %s : i1
  %shli = arith.shli %t, %t : tensor<8xi1>
  %shli_s = arith.shli %s, %s : i1
  %shrsi = arith.shrsi %t, %t : tensor<8xi1>
  %shrsi_s = arith.shrsi %s, %s : i1
  %shrui = arith.shrui %t, %t : tensor<8xi1>
  %shrui_s = arith.shrui %s, %s : i1
  %maxsi = arith.maxsi %t, %t : tensor<8xi1>
  %maxsi_s = arith.maxsi %s, %s : i1
  %minsi = arith.minsi %t, %t : tensor<8xi1>
  %minsi_s = arith.minsi %s, %s : i1
  %maxui = arith.maxui %t, %t : tensor<8xi1>
  %maxui_s = arith.maxui %s, %s : i1
  %minui = arith.minui %t, %t : tensor<8xi1>
  %minui_s = arith.minui %s, %s : i1
  %eq = arith.cmpi eq, %t, %t : tensor<8xi1>
  %ne = arith.cmpi ne, %t, %t : tensor<8xi1>
  %slt = arith.cmpi slt, %t, %t : tensor<8xi1>
  %sle = arith.cmpi sle, %t, %t : tensor<8xi1>
  %sgt = arith.cmpi sgt, %t, %t : tensor<8xi1>
  %sge = arith.cmpi sge, %t, %t : tensor<8xi1>
  %ult = arith.cmpi ult, %t, %t : tensor<8xi1>
  %ule = arith.cmpi ule, %t, %t : tensor<8xi1>
  %ugt = arith.cmpi ugt, %t, %t : tensor<8xi1>
  %uge = arith.cmpi uge, %t, %t : tensor<8xi1>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_i8(
tile.kernel @memory_i8(%p: !tile.ptr<i8, 16>, %v1: !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>, %v2: !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, %v3: !tile.view<i8, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>, %s: i8, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : i8 -> tensor<8xi8>
  %q = tile.addptr %p, %n : !tile.ptr<i8, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<i8>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<i8, 16> -> i8
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : i8 : !tile.ptr<i8> -> i8
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<i8, 16> -> tensor<8xi8>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<i8, 16> -> tensor<8xi8>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : i8 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : i8 : !tile.ptr<i8, 16> -> tensor<8xi8>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : i8 : !tile.ptr<i8, 16> -> tensor<8xi8>
  tile.store %p[%n : i32], %s : i8 : !tile.ptr<i8, 16>
  tile.store %p[%w : i64], %s : i8, mask %c : i1 : !tile.ptr<i8, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xi8> : !tile.ptr<i8, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xi8>, mask %m : tensor<8xi1> : !tile.ptr<i8, 16>
  %d = tile.dim %v3, 2 : !tile.view<i8, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<i8, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true> -> !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false> -> i8
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi8>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : i8 clip [true, true] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi8>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : i8 clip [false, false] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xi8>
  tile.view_store %v1[%n : i32], %s : i8 clip [false] : !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xi8>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<4x8xi8>
  %h = tile.block_load %v1[%n : i32], other %s : i8 : !tile.view<i8, sizes = [1], strides = [0], align = 1, wide = false> -> tensor<8xi8>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<i8, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, tensor<4x8xi8>
  %r0 = tile.reshape %g : tensor<4x8xi8> -> tensor<32xi8>
  %r1 = tile.expand_dims %t, 1 : tensor<8xi8> -> tensor<8x1xi8>
  %r2 = tile.broadcast %r1 : tensor<8x1xi8> -> tensor<8x4xi8>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xi8> -> tensor<4x8xi8>
  %z0 = arith.select %c, %t, %l2 : tensor<8xi8>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xi8>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xi8>, tensor<8xi32>) -> (tensor<8xi8>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xi8>) -> tensor<8xi8>
  %top, %pos = tile.topk %t, 4 : tensor<8xi8> -> tensor<4xi8>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: i8, %y: i8):
    tile.yield %y : i8
  }) {axis = 1 : i32} : (tensor<4x8xi8>) -> tensor<4xi8>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: i8, %xi: i32, %y: i8, %yi: i32):
    tile.yield %x, %yi : i8, i32
  }) {axis = 0 : i32} : (tensor<8xi8>, tensor<8xi32>) -> (i8, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: i8, %y: i8):
    tile.yield %x : i8
  }) {axis = 0 : i32, reverse} : (tensor<8xi8>) -> tensor<8xi8>
  %cast_i1 = tile.cast %t : tensor<8xi8> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xi8> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xi8> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xi8> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xi8> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xi8> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xi8> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xi8> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xi8> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xi8> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : i8 -> f32
  %u8 = tile.cast %s unsigned_input : i8 -> i32
  %u8b = tile.cast %u8 unsigned_result : i32 -> i8
  %u8c = tile.cast %s unsigned_input unsigned_result : i8 -> i8
  tile.return
}

tile.kernel @arithmetic_i8(%s: i8) {
  %t = tile.splat %s : i8 -> tensor<8xi8>
  %addi = arith.addi %t, %t : tensor<8xi8>
  %addi_s = arith.addi %s, %s : i8
  %subi = arith.subi %t, %t : tensor<8xi8>
  %subi_s = arith.subi %s, %s : i8
  %muli = arith.muli %t, %t : tensor<8xi8>
  %muli_s = arith.muli %s, %s : i8
  %divsi = arith.divsi %t, %t : tensor<8xi8>
  %divsi_s = arith.divsi %s, %s : i8
  %divui = arith.divui %t, %t : tensor<8xi8>
  %divui_s = arith.divui %s, %s : i8
  %remsi = arith.remsi %t, %t : tensor<8xi8>
  %remsi_s = arith.remsi %s, %s : i8
  %remui = arith.remui %t, %t : tensor<8xi8>
  %remui_s = arith.remui %s, %s : i8
  %floordivsi = arith.floordivsi %t, %t : tensor<8xi8>
  %floordivsi_s = arith.floordivsi %s, %s : i8
  %ceildivsi = arith.ceildivsi %t, %t : tensor<8xi8>
  %ceildivsi_s = arith.ceildivsi %s, %s : i8
  %ceildivui = arith.ceildivui %t, %t : tensor<8xi8>
  %ceildivui_s = arith.ceildivui %s, %s : i8
  %andi = arith.andi %t, %t : tensor<8xi8>
  %andi_s = arith.andi %s, %s : i8
  %ori = arith.ori %t, %t : tensor<8xi8>
  %ori_s = arith.ori %s, %s : i8
  %xori = arith.xori %t, %t : tensor<8xi8>
  %xori_s = arith.xori %s, %s : i8
  %shli = arith.shli %t, %t : tensor<8xi8>
  %shli_s = arith.shli %s, %s : i8
  %shrsi = arith.shrsi %t, %t : tensor<8xi8>
  %shrsi_s = arith.shrsi %s, %s : i8
  %shrui = arith.shrui %t, %t : tensor<8xi8>
  %shrui_s = arith.shrui %s, %s : i8
  %maxsi = arith.maxsi %t, %t : tensor<8xi8>
  %maxsi_s = arith.maxsi %s, %s : i8
  %minsi = arith.minsi %t, %t : tensor<8xi8>
  %minsi_s = arith.minsi %s, %s : i8
  %maxui = arith.maxui %t, %t : tensor<8xi8>
  %maxui_s = arith.maxui %s, %s : i8
  %minui = arith.minui %t, %t : tensor<8xi8>
  %minui_s = arith.minui %s, %s : i8
  %eq = arith.cmpi eq, %t, %t : tensor<8xi8>
  %ne = arith.cmpi ne, %t, %t : tensor<8xi8>
  %slt = arith.cmpi slt, %t, %t : tensor<8xi8>
  %sle = arith.cmpi sle, %t, %t : tensor<8xi8>
  %sgt = arith.cmpi sgt, %t, %t : tensor<8xi8>
  %sge = arith.cmpi sge, %t, %t : tensor<8xi8>
  %ult = arith.cmpi ult, %t, %t : tensor<8xi8>
  %ule = arith.cmpi ule, %t, %t : tensor<8xi8>
  %ugt = arith.cmpi ugt, %t, %t : tensor<8xi8>
  %uge = arith.cmpi uge, %t, %t : tensor<8xi8>
  %absi = math.absi %t : tensor<8xi8>
  %ctpop = math.ctpop %t : tensor<8xi8>
  %ctlz = math.ctlz %t : tensor<8xi8>
  %cttz = math.cttz %t : tensor<8xi8>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_i32(
tile.kernel @memory_i32(%p: !tile.ptr<i32, 16>, %v1: !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, %v2: !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, %v3: !tile.view<i32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true>, %s: i32, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : i32 -> tensor<8xi32>
  %q = tile.addptr %p, %n : !tile.ptr<i32, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<i32>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<i32, 16> -> i32
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : i32 : !tile.ptr<i32> -> i32
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<i32, 16> -> tensor<8xi32>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<i32, 16> -> tensor<8xi32>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : i32 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : i32 : !tile.ptr<i32, 16> -> tensor<8xi32>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : i32 : !tile.ptr<i32, 16> -> tensor<8xi32>
  tile.store %p[%n : i32], %s : i32 : !tile.ptr<i32, 16>
  tile.store %p[%w : i64], %s : i32, mask %c : i1 : !tile.ptr<i32, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xi32> : !tile.ptr<i32, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xi32>, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>
  %d = tile.dim %v3, 2 : !tile.view<i32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<i32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true> -> !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false> -> i32
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xi32>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : i32 clip [true, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xi32>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : i32 clip [false, false] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xi32>
  tile.view_store %v1[%n : i32], %s : i32 clip [false] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xi32>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<4x8xi32>
  %h = tile.block_load %v1[%n : i32], other %s : i32 : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<8xi32>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<4x8xi32>
  %r0 = tile.reshape %g : tensor<4x8xi32> -> tensor<32xi32>
  %r1 = tile.expand_dims %t, 1 : tensor<8xi32> -> tensor<8x1xi32>
  %r2 = tile.broadcast %r1 : tensor<8x1xi32> -> tensor<8x4xi32>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xi32> -> tensor<4x8xi32>
  %z0 = arith.select %c, %t, %l2 : tensor<8xi32>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xi32>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xi32>, tensor<8xi32>) -> (tensor<8xi32>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xi32>) -> tensor<8xi32>
  %top, %pos = tile.topk %t, 4 : tensor<8xi32> -> tensor<4xi32>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: i32, %y: i32):
    tile.yield %y : i32
  }) {axis = 1 : i32} : (tensor<4x8xi32>) -> tensor<4xi32>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: i32, %xi: i32, %y: i32, %yi: i32):
    tile.yield %x, %yi : i32, i32
  }) {axis = 0 : i32} : (tensor<8xi32>, tensor<8xi32>) -> (i32, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: i32, %y: i32):
    tile.yield %x : i32
  }) {axis = 0 : i32, reverse} : (tensor<8xi32>) -> tensor<8xi32>
  %cast_i1 = tile.cast %t : tensor<8xi32> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xi32> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xi32> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xi32> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xi32> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xi32> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xi32> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xi32> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xi32> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xi32> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : i32 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %at_max0 = tile.atomic_rmw max, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_max1 = tile.atomic_rmw max, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_max2 = tile.view_atomic_rmw max, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_max3 = tile.view_atomic_rmw max, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %at_min0 = tile.atomic_rmw min, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_min1 = tile.atomic_rmw min, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_min2 = tile.view_atomic_rmw min, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_min3 = tile.view_atomic_rmw min, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %at_exchange0 = tile.atomic_rmw exchange, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_exchange1 = tile.atomic_rmw exchange, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_exchange2 = tile.view_atomic_rmw exchange, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_exchange3 = tile.view_atomic_rmw exchange, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %at_umax0 = tile.atomic_rmw umax, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_umax1 = tile.atomic_rmw umax, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_umax2 = tile.view_atomic_rmw umax, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_umax3 = tile.view_atomic_rmw umax, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %at_umin0 = tile.atomic_rmw umin, %p[%n : i32], %s : !tile.ptr<i32, 16>, i32 -> i32
  %at_umin1 = tile.atomic_rmw umin, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i32, 16>, tensor<8xi32> -> tensor<8xi32>
  %at_umin2 = tile.view_atomic_rmw umin, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32> -> tensor<8xi32>
  %at_umin3 = tile.view_atomic_rmw umin, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i32, sizes = [1], strides = [0], align = 4, wide = false>, i32 -> i32
  %cas0 = tile.atomic_cas %p[%w : i64], %s, %s : !tile.ptr<i32, 16>, i32
  %cas1 = tile.atomic_cas %p[%i : tensor<8xi32>], %t, %l2 : !tile.ptr<i32, 16>, tensor<8xi32>
  %cas2 = tile.view_atomic_cas %v2[%n, %j : i32, tensor<8xi64>], %t, %l2 : !tile.view<i32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xi32>
  tile.return
}

tile.kernel @arithmetic_i32(%s: i32) {
  %t = tile.splat %s : i32 -> tensor<8xi32>
  %addi = arith.addi %t, %t : tensor<8xi32>
  %addi_s = arith.addi %s, %s : i32
  %subi = arith.subi %t, %t : tensor<8xi32>
  %subi_s = arith.subi %s, %s : i32
  %muli = arith.muli %t, %t : tensor<8xi32>
  %muli_s = arith.muli %s, %s : i32
  %divsi = arith.divsi %t, %t : tensor<8xi32>
  %divsi_s = arith.divsi %s, %s : i32
  %divui = arith.divui %t, %t : tensor<8xi32>
  %divui_s = arith.divui %s, %s : i32
  %remsi = arith.remsi %t, %t : tensor<8xi32>
  %remsi_s = arith.remsi %s, %s : i32
  %remui = arith.remui %t, %t : tensor<8xi32>
  %remui_s = arith.remui %s, %s : i32
  %floordivsi = arith.floordivsi %t, %t : tensor<8xi32>
  %floordivsi_s = arith.floordivsi %s, %s : i32
  %ceildivsi = arith.ceildivsi %t, %t : tensor<8xi32>
  %ceildivsi_s = arith.ceildivsi %s, %s : i32
  %ceildivui = arith.ceildivui %t, %t : tensor<8xi32>
  %ceildivui_s = arith.ceildivui %s, %s : i32
  %andi = arith.andi %t, %t : tensor<8xi32>
  %andi_s = arith.andi %s, %s : i32
  %ori = arith.ori %t, %t : tensor<8xi32>
  %ori_s = arith.ori %s, %s : i32
  %xori = arith.xori %t, %t : tensor<8xi32>
  %xori_s = arith.xori %s, %s : i32
  %shli = arith.shli %t, %t : tensor<8xi32>
  %shli_s = arith.shli %s, %s : i32
  %shrsi = arith.shrsi %t, %t : tensor<8xi32>
  %shrsi_s = arith.shrsi %s, %s : i32
  %shrui = arith.shrui %t, %t : tensor<8xi32>
  %shrui_s = arith.shrui %s, %s : i32
  %maxsi = arith.maxsi %t, %t : tensor<8xi32>
  %maxsi_s = arith.maxsi %s, %s : i32
  %minsi = arith.minsi %t, %t : tensor<8xi32>
  %minsi_s = arith.minsi %s, %s : i32
  %maxui = arith.maxui %t, %t : tensor<8xi32>
  %maxui_s = arith.maxui %s, %s : i32
  %minui = arith.minui %t, %t : tensor<8xi32>
  %minui_s = arith.minui %s, %s : i32
  %eq = arith.cmpi eq, %t, %t : tensor<8xi32>
  %ne = arith.cmpi ne, %t, %t : tensor<8xi32>
  %slt = arith.cmpi slt, %t, %t : tensor<8xi32>
  %sle = arith.cmpi sle, %t, %t : tensor<8xi32>
  %sgt = arith.cmpi sgt, %t, %t : tensor<8xi32>
  %sge = arith.cmpi sge, %t, %t : tensor<8xi32>
  %ult = arith.cmpi ult, %t, %t : tensor<8xi32>
  %ule = arith.cmpi ule, %t, %t : tensor<8xi32>
  %ugt = arith.cmpi ugt, %t, %t : tensor<8xi32>
  %uge = arith.cmpi uge, %t, %t : tensor<8xi32>
  %absi = math.absi %t : tensor<8xi32>
  %ctpop = math.ctpop %t : tensor<8xi32>
  %ctlz = math.ctlz %t : tensor<8xi32>
  %cttz = math.cttz %t : tensor<8xi32>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_i64(
tile.kernel @memory_i64(%p: !tile.ptr<i64, 16>, %v1: !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, %v2: !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, %v3: !tile.view<i64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true>, %s: i64, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : i64 -> tensor<8xi64>
  %q = tile.addptr %p, %n : !tile.ptr<i64, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<i64>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<i64, 16> -> i64
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : i64 : !tile.ptr<i64> -> i64
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<i64, 16> -> tensor<8xi64>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<i64, 16> -> tensor<8xi64>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : i64 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : i64 : !tile.ptr<i64, 16> -> tensor<8xi64>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : i64 : !tile.ptr<i64, 16> -> tensor<8xi64>
  tile.store %p[%n : i32], %s : i64 : !tile.ptr<i64, 16>
  tile.store %p[%w : i64], %s : i64, mask %c : i1 : !tile.ptr<i64, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xi64> : !tile.ptr<i64, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xi64>, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>
  %d = tile.dim %v3, 2 : !tile.view<i64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<i64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true> -> !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false> -> i64
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xi64>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : i64 clip [true, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xi64>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : i64 clip [false, false] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xi64>
  tile.view_store %v1[%n : i32], %s : i64 clip [false] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xi64>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<4x8xi64>
  %h = tile.block_load %v1[%n : i32], other %s : i64 : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false> -> tensor<8xi64>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<4x8xi64>
  %r0 = tile.reshape %g : tensor<4x8xi64> -> tensor<32xi64>
  %r1 = tile.expand_dims %t, 1 : tensor<8xi64> -> tensor<8x1xi64>
  %r2 = tile.broadcast %r1 : tensor<8x1xi64> -> tensor<8x4xi64>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xi64> -> tensor<4x8xi64>
  %z0 = arith.select %c, %t, %l2 : tensor<8xi64>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xi64>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xi64>, tensor<8xi32>) -> (tensor<8xi64>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xi64>) -> tensor<8xi64>
  %top, %pos = tile.topk %t, 4 : tensor<8xi64> -> tensor<4xi64>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: i64, %y: i64):
    tile.yield %y : i64
  }) {axis = 1 : i32} : (tensor<4x8xi64>) -> tensor<4xi64>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: i64, %xi: i32, %y: i64, %yi: i32):
    tile.yield %x, %yi : i64, i32
  }) {axis = 0 : i32} : (tensor<8xi64>, tensor<8xi32>) -> (i64, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: i64, %y: i64):
    tile.yield %x : i64
  }) {axis = 0 : i32, reverse} : (tensor<8xi64>) -> tensor<8xi64>
  %cast_i1 = tile.cast %t : tensor<8xi64> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xi64> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xi64> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xi64> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xi64> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xi64> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xi64> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xi64> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xi64> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xi64> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : i64 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %at_max0 = tile.atomic_rmw max, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_max1 = tile.atomic_rmw max, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_max2 = tile.view_atomic_rmw max, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_max3 = tile.view_atomic_rmw max, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %at_min0 = tile.atomic_rmw min, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_min1 = tile.atomic_rmw min, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_min2 = tile.view_atomic_rmw min, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_min3 = tile.view_atomic_rmw min, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %at_exchange0 = tile.atomic_rmw exchange, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_exchange1 = tile.atomic_rmw exchange, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_exchange2 = tile.view_atomic_rmw exchange, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_exchange3 = tile.view_atomic_rmw exchange, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %at_umax0 = tile.atomic_rmw umax, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_umax1 = tile.atomic_rmw umax, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_umax2 = tile.view_atomic_rmw umax, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_umax3 = tile.view_atomic_rmw umax, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %at_umin0 = tile.atomic_rmw umin, %p[%n : i32], %s : !tile.ptr<i64, 16>, i64 -> i64
  %at_umin1 = tile.atomic_rmw umin, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<i64, 16>, tensor<8xi64> -> tensor<8xi64>
  %at_umin2 = tile.view_atomic_rmw umin, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64> -> tensor<8xi64>
  %at_umin3 = tile.view_atomic_rmw umin, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<i64, sizes = [1], strides = [0], align = 8, wide = false>, i64 -> i64
  %cas0 = tile.atomic_cas %p[%w : i64], %s, %s : !tile.ptr<i64, 16>, i64
  %cas1 = tile.atomic_cas %p[%i : tensor<8xi32>], %t, %l2 : !tile.ptr<i64, 16>, tensor<8xi64>
  %cas2 = tile.view_atomic_cas %v2[%n, %j : i32, tensor<8xi64>], %t, %l2 : !tile.view<i64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xi64>
  tile.return
}

tile.kernel @arithmetic_i64(%s: i64) {
  %t = tile.splat %s : i64 -> tensor<8xi64>
  %addi = arith.addi %t, %t : tensor<8xi64>
  %addi_s = arith.addi %s, %s : i64
  %subi = arith.subi %t, %t : tensor<8xi64>
  %subi_s = arith.subi %s, %s : i64
  %muli = arith.muli %t, %t : tensor<8xi64>
  %muli_s = arith.muli %s, %s : i64
  %divsi = arith.divsi %t, %t : tensor<8xi64>
  %divsi_s = arith.divsi %s, %s : i64
  %divui = arith.divui %t, %t : tensor<8xi64>
  %divui_s = arith.divui %s, %s : i64
  %remsi = arith.remsi %t, %t : tensor<8xi64>
  %remsi_s = arith.remsi %s, %s : i64
  %remui = arith.remui %t, %t : tensor<8xi64>
  %remui_s = arith.remui %s, %s : i64
  %floordivsi = arith.floordivsi %t, %t : tensor<8xi64>
  %floordivsi_s = arith.floordivsi %s, %s : i64
  %ceildivsi = arith.ceildivsi %t, %t : tensor<8xi64>
  %ceildivsi_s = arith.ceildivsi %s, %s : i64
  %ceildivui = arith.ceildivui %t, %t : tensor<8xi64>
  %ceildivui_s = arith.ceildivui %s, %s : i64
  %andi = arith.andi %t, %t : tensor<8xi64>
  %andi_s = arith.andi %s, %s : i64
  %ori = arith.ori %t, %t : tensor<8xi64>
  %ori_s = arith.ori %s, %s : i64
  %xori = arith.xori %t, %t : tensor<8xi64>
  %xori_s = arith.xori %s, %s : i64
  %shli = arith.shli %t, %t : tensor<8xi64>
  %shli_s = arith.shli %s, %s : i64
  %shrsi = arith.shrsi %t, %t : tensor<8xi64>
  %shrsi_s = arith.shrsi %s, %s : i64
  %shrui = arith.shrui %t, %t : tensor<8xi64>
  %shrui_s = arith.shrui %s, %s : i64
  %maxsi = arith.maxsi %t, %t : tensor<8xi64>
  %maxsi_s = arith.maxsi %s, %s : i64
  %minsi = arith.minsi %t, %t : tensor<8xi64>
  %minsi_s = arith.minsi %s, %s : i64
  %maxui = arith.maxui %t, %t : tensor<8xi64>
  %maxui_s = arith.maxui %s, %s : i64
  %minui = arith.minui %t, %t : tensor<8xi64>
  %minui_s = arith.minui %s, %s : i64
  %eq = arith.cmpi eq, %t, %t : tensor<8xi64>
  %ne = arith.cmpi ne, %t, %t : tensor<8xi64>
  %slt = arith.cmpi slt, %t, %t : tensor<8xi64>
  %sle = arith.cmpi sle, %t, %t : tensor<8xi64>
  %sgt = arith.cmpi sgt, %t, %t : tensor<8xi64>
  %sge = arith.cmpi sge, %t, %t : tensor<8xi64>
  %ult = arith.cmpi ult, %t, %t : tensor<8xi64>
  %ule = arith.cmpi ule, %t, %t : tensor<8xi64>
  %ugt = arith.cmpi ugt, %t, %t : tensor<8xi64>
  %uge = arith.cmpi uge, %t, %t : tensor<8xi64>
  %absi = math.absi %t : tensor<8xi64>
  %ctpop = math.ctpop %t : tensor<8xi64>
  %ctlz = math.ctlz %t : tensor<8xi64>
  %cttz = math.cttz %t : tensor<8xi64>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_f16(
tile.kernel @memory_f16(%p: !tile.ptr<f16, 16>, %v1: !tile.view<f16, sizes = [1], strides = [0], align = 2, wide = false>, %v2: !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, %v3: !tile.view<f16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true>, %s: f16, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : f16 -> tensor<8xf16>
  %q = tile.addptr %p, %n : !tile.ptr<f16, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<f16>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<f16, 16> -> f16
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : f16 : !tile.ptr<f16> -> f16
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<f16, 16> -> tensor<8xf16>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<f16, 16> -> tensor<8xf16>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : f16 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : f16 : !tile.ptr<f16, 16> -> tensor<8xf16>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : f16 : !tile.ptr<f16, 16> -> tensor<8xf16>
  tile.store %p[%n : i32], %s : f16 : !tile.ptr<f16, 16>
  tile.store %p[%w : i64], %s : f16, mask %c : i1 : !tile.ptr<f16, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xf16> : !tile.ptr<f16, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xf16>, mask %m : tensor<8xi1> : !tile.ptr<f16, 16>
  %d = tile.dim %v3, 2 : !tile.view<f16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<f16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true> -> !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<f16, sizes = [1], strides = [0], align = 2, wide = false> -> f16
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xf16>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : f16 clip [true, true] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xf16>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : f16 clip [false, false] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xf16>
  tile.view_store %v1[%n : i32], %s : f16 clip [false] : !tile.view<f16, sizes = [1], strides = [0], align = 2, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xf16>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<4x8xf16>
  %h = tile.block_load %v1[%n : i32], other %s : f16 : !tile.view<f16, sizes = [1], strides = [0], align = 2, wide = false> -> tensor<8xf16>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, tensor<4x8xf16>
  %r0 = tile.reshape %g : tensor<4x8xf16> -> tensor<32xf16>
  %r1 = tile.expand_dims %t, 1 : tensor<8xf16> -> tensor<8x1xf16>
  %r2 = tile.broadcast %r1 : tensor<8x1xf16> -> tensor<8x4xf16>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xf16> -> tensor<4x8xf16>
  %z0 = arith.select %c, %t, %l2 : tensor<8xf16>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xf16>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xf16>, tensor<8xi32>) -> (tensor<8xf16>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xf16>) -> tensor<8xf16>
  %top, %pos = tile.topk %t, 4 : tensor<8xf16> -> tensor<4xf16>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: f16, %y: f16):
    tile.yield %y : f16
  }) {axis = 1 : i32} : (tensor<4x8xf16>) -> tensor<4xf16>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: f16, %xi: i32, %y: f16, %yi: i32):
    tile.yield %x, %yi : f16, i32
  }) {axis = 0 : i32} : (tensor<8xf16>, tensor<8xi32>) -> (f16, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: f16, %y: f16):
    tile.yield %x : f16
  }) {axis = 0 : i32, reverse} : (tensor<8xf16>) -> tensor<8xf16>
  %cast_i1 = tile.cast %t : tensor<8xf16> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xf16> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xf16> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xf16> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xf16> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xf16> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xf16> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xf16> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xf16> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xf16> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : f16 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<f16, 16>, f16 -> f16
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f16, 16>, tensor<8xf16> -> tensor<8xf16>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, tensor<8xf16> -> tensor<8xf16>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f16, sizes = [1], strides = [0], align = 2, wide = false>, f16 -> f16
  tile.return
}

tile.kernel @arithmetic_f16(%s: f16) {
  %t = tile.splat %s : f16 -> tensor<8xf16>
  %addf = arith.addf %t, %t : tensor<8xf16>
  %addf_s = arith.addf %s, %s : f16
  %subf = arith.subf %t, %t : tensor<8xf16>
  %subf_s = arith.subf %s, %s : f16
  %mulf = arith.mulf %t, %t : tensor<8xf16>
  %mulf_s = arith.mulf %s, %s : f16
  %divf = arith.divf %t, %t : tensor<8xf16>
  %divf_s = arith.divf %s, %s : f16
  %remf = arith.remf %t, %t : tensor<8xf16>
  %remf_s = arith.remf %s, %s : f16
  %maximumf = arith.maximumf %t, %t : tensor<8xf16>
  %maximumf_s = arith.maximumf %s, %s : f16
  %minimumf = arith.minimumf %t, %t : tensor<8xf16>
  %minimumf_s = arith.minimumf %s, %s : f16
  %maxnumf = arith.maxnumf %t, %t : tensor<8xf16>
  %maxnumf_s = arith.maxnumf %s, %s : f16
  %minnumf = arith.minnumf %t, %t : tensor<8xf16>
  %minnumf_s = arith.minnumf %s, %s : f16
  %neg = arith.negf %t : tensor<8xf16>
  %p_false = arith.cmpf false, %t, %t : tensor<8xf16>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xf16>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xf16>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xf16>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xf16>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xf16>
  %p_one = arith.cmpf one, %t, %t : tensor<8xf16>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xf16>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xf16>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xf16>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xf16>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xf16>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xf16>
  %p_une = arith.cmpf une, %t, %t : tensor<8xf16>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xf16>
  %p_true = arith.cmpf true, %t, %t : tensor<8xf16>
  %exp = math.exp %t : tensor<8xf16>
  %exp2 = math.exp2 %t : tensor<8xf16>
  %log = math.log %t : tensor<8xf16>
  %log2 = math.log2 %t : tensor<8xf16>
  %sqrt = math.sqrt %t : tensor<8xf16>
  %rsqrt = math.rsqrt %t : tensor<8xf16>
  %tanh = math.tanh %t : tensor<8xf16>
  %erf = math.erf %t : tensor<8xf16>
  %absf = math.absf %t : tensor<8xf16>
  %floor = math.floor %t : tensor<8xf16>
  %ceil = math.ceil %t : tensor<8xf16>
  %sin = math.sin %t : tensor<8xf16>
  %cos = math.cos %t : tensor<8xf16>
  %fma = math.fma %t, %t, %t : tensor<8xf16>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_bf16(
tile.kernel @memory_bf16(%p: !tile.ptr<bf16, 16>, %v1: !tile.view<bf16, sizes = [1], strides = [0], align = 2, wide = false>, %v2: !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, %v3: !tile.view<bf16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true>, %s: bf16, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : bf16 -> tensor<8xbf16>
  %q = tile.addptr %p, %n : !tile.ptr<bf16, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<bf16>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<bf16, 16> -> bf16
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : bf16 : !tile.ptr<bf16> -> bf16
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<bf16, 16> -> tensor<8xbf16>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<bf16, 16> -> tensor<8xbf16>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : bf16 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : bf16 : !tile.ptr<bf16, 16> -> tensor<8xbf16>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : bf16 : !tile.ptr<bf16, 16> -> tensor<8xbf16>
  tile.store %p[%n : i32], %s : bf16 : !tile.ptr<bf16, 16>
  tile.store %p[%w : i64], %s : bf16, mask %c : i1 : !tile.ptr<bf16, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xbf16> : !tile.ptr<bf16, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xbf16>, mask %m : tensor<8xi1> : !tile.ptr<bf16, 16>
  %d = tile.dim %v3, 2 : !tile.view<bf16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<bf16, sizes = [1, 1, 1], strides = [16, 16, 0], align = 2, wide = true> -> !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<bf16, sizes = [1], strides = [0], align = 2, wide = false> -> bf16
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xbf16>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : bf16 clip [true, true] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xbf16>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : bf16 clip [false, false] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<8xbf16>
  tile.view_store %v1[%n : i32], %s : bf16 clip [false] : !tile.view<bf16, sizes = [1], strides = [0], align = 2, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xbf16>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false> -> tensor<4x8xbf16>
  %h = tile.block_load %v1[%n : i32], other %s : bf16 : !tile.view<bf16, sizes = [1], strides = [0], align = 2, wide = false> -> tensor<8xbf16>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, tensor<4x8xbf16>
  %r0 = tile.reshape %g : tensor<4x8xbf16> -> tensor<32xbf16>
  %r1 = tile.expand_dims %t, 1 : tensor<8xbf16> -> tensor<8x1xbf16>
  %r2 = tile.broadcast %r1 : tensor<8x1xbf16> -> tensor<8x4xbf16>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xbf16> -> tensor<4x8xbf16>
  %z0 = arith.select %c, %t, %l2 : tensor<8xbf16>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xbf16>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xbf16>, tensor<8xi32>) -> (tensor<8xbf16>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xbf16>) -> tensor<8xbf16>
  %top, %pos = tile.topk %t, 4 : tensor<8xbf16> -> tensor<4xbf16>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: bf16, %y: bf16):
    tile.yield %y : bf16
  }) {axis = 1 : i32} : (tensor<4x8xbf16>) -> tensor<4xbf16>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: bf16, %xi: i32, %y: bf16, %yi: i32):
    tile.yield %x, %yi : bf16, i32
  }) {axis = 0 : i32} : (tensor<8xbf16>, tensor<8xi32>) -> (bf16, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: bf16, %y: bf16):
    tile.yield %x : bf16
  }) {axis = 0 : i32, reverse} : (tensor<8xbf16>) -> tensor<8xbf16>
  %cast_i1 = tile.cast %t : tensor<8xbf16> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xbf16> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xbf16> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xbf16> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xbf16> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xbf16> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xbf16> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xbf16> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xbf16> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xbf16> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : bf16 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<bf16, 16>, bf16 -> bf16
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<bf16, 16>, tensor<8xbf16> -> tensor<8xbf16>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<bf16, sizes = [1, 1], strides = [16, 0], align = 2, wide = false>, tensor<8xbf16> -> tensor<8xbf16>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<bf16, sizes = [1], strides = [0], align = 2, wide = false>, bf16 -> bf16
  tile.return
}

tile.kernel @arithmetic_bf16(%s: bf16) {
  %t = tile.splat %s : bf16 -> tensor<8xbf16>
  %addf = arith.addf %t, %t : tensor<8xbf16>
  %addf_s = arith.addf %s, %s : bf16
  %subf = arith.subf %t, %t : tensor<8xbf16>
  %subf_s = arith.subf %s, %s : bf16
  %mulf = arith.mulf %t, %t : tensor<8xbf16>
  %mulf_s = arith.mulf %s, %s : bf16
  %divf = arith.divf %t, %t : tensor<8xbf16>
  %divf_s = arith.divf %s, %s : bf16
  %remf = arith.remf %t, %t : tensor<8xbf16>
  %remf_s = arith.remf %s, %s : bf16
  %maximumf = arith.maximumf %t, %t : tensor<8xbf16>
  %maximumf_s = arith.maximumf %s, %s : bf16
  %minimumf = arith.minimumf %t, %t : tensor<8xbf16>
  %minimumf_s = arith.minimumf %s, %s : bf16
  %maxnumf = arith.maxnumf %t, %t : tensor<8xbf16>
  %maxnumf_s = arith.maxnumf %s, %s : bf16
  %minnumf = arith.minnumf %t, %t : tensor<8xbf16>
  %minnumf_s = arith.minnumf %s, %s : bf16
  %neg = arith.negf %t : tensor<8xbf16>
  %p_false = arith.cmpf false, %t, %t : tensor<8xbf16>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xbf16>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xbf16>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xbf16>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xbf16>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xbf16>
  %p_one = arith.cmpf one, %t, %t : tensor<8xbf16>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xbf16>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xbf16>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xbf16>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xbf16>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xbf16>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xbf16>
  %p_une = arith.cmpf une, %t, %t : tensor<8xbf16>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xbf16>
  %p_true = arith.cmpf true, %t, %t : tensor<8xbf16>
  %exp = math.exp %t : tensor<8xbf16>
  %exp2 = math.exp2 %t : tensor<8xbf16>
  %log = math.log %t : tensor<8xbf16>
  %log2 = math.log2 %t : tensor<8xbf16>
  %sqrt = math.sqrt %t : tensor<8xbf16>
  %rsqrt = math.rsqrt %t : tensor<8xbf16>
  %tanh = math.tanh %t : tensor<8xbf16>
  %erf = math.erf %t : tensor<8xbf16>
  %absf = math.absf %t : tensor<8xbf16>
  %floor = math.floor %t : tensor<8xbf16>
  %ceil = math.ceil %t : tensor<8xbf16>
  %sin = math.sin %t : tensor<8xbf16>
  %cos = math.cos %t : tensor<8xbf16>
  %fma = math.fma %t, %t, %t : tensor<8xbf16>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_f32(
tile.kernel @memory_f32(%p: !tile.ptr<f32, 16>, %v1: !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, %v2: !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, %v3: !tile.view<f32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true>, %s: f32, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : f32 -> tensor<8xf32>
  %q = tile.addptr %p, %n : !tile.ptr<f32, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<f32>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<f32, 16> -> f32
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : f32 : !tile.ptr<f32> -> f32
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<f32, 16> -> tensor<8xf32>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<f32, 16> -> tensor<8xf32>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : f32 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : f32 : !tile.ptr<f32, 16> -> tensor<8xf32>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : f32 : !tile.ptr<f32, 16> -> tensor<8xf32>
  tile.store %p[%n : i32], %s : f32 : !tile.ptr<f32, 16>
  tile.store %p[%w : i64], %s : f32, mask %c : i1 : !tile.ptr<f32, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xf32> : !tile.ptr<f32, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xf32>, mask %m : tensor<8xi1> : !tile.ptr<f32, 16>
  %d = tile.dim %v3, 2 : !tile.view<f32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<f32, sizes = [1, 1, 1], strides = [16, 16, 0], align = 4, wide = true> -> !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> f32
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xf32>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : f32 clip [true, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xf32>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : f32 clip [false, false] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<8xf32>
  tile.view_store %v1[%n : i32], %s : f32 clip [false] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xf32>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false> -> tensor<4x8xf32>
  %h = tile.block_load %v1[%n : i32], other %s : f32 : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false> -> tensor<8xf32>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<4x8xf32>
  %r0 = tile.reshape %g : tensor<4x8xf32> -> tensor<32xf32>
  %r1 = tile.expand_dims %t, 1 : tensor<8xf32> -> tensor<8x1xf32>
  %r2 = tile.broadcast %r1 : tensor<8x1xf32> -> tensor<8x4xf32>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xf32> -> tensor<4x8xf32>
  %z0 = arith.select %c, %t, %l2 : tensor<8xf32>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xf32>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xf32>, tensor<8xi32>) -> (tensor<8xf32>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xf32>) -> tensor<8xf32>
  %top, %pos = tile.topk %t, 4 : tensor<8xf32> -> tensor<4xf32>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: f32, %y: f32):
    tile.yield %y : f32
  }) {axis = 1 : i32} : (tensor<4x8xf32>) -> tensor<4xf32>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: f32, %xi: i32, %y: f32, %yi: i32):
    tile.yield %x, %yi : f32, i32
  }) {axis = 0 : i32} : (tensor<8xf32>, tensor<8xi32>) -> (f32, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: f32, %y: f32):
    tile.yield %x : f32
  }) {axis = 0 : i32, reverse} : (tensor<8xf32>) -> tensor<8xf32>
  %cast_i1 = tile.cast %t : tensor<8xf32> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xf32> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xf32> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xf32> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xf32> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xf32> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xf32> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xf32> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xf32> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xf32> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : f32 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<f32, 16>, f32 -> f32
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f32, 16>, tensor<8xf32> -> tensor<8xf32>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xf32> -> tensor<8xf32>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f32
  %at_max0 = tile.atomic_rmw max, %p[%n : i32], %s : !tile.ptr<f32, 16>, f32 -> f32
  %at_max1 = tile.atomic_rmw max, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f32, 16>, tensor<8xf32> -> tensor<8xf32>
  %at_max2 = tile.view_atomic_rmw max, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xf32> -> tensor<8xf32>
  %at_max3 = tile.view_atomic_rmw max, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f32
  %at_min0 = tile.atomic_rmw min, %p[%n : i32], %s : !tile.ptr<f32, 16>, f32 -> f32
  %at_min1 = tile.atomic_rmw min, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f32, 16>, tensor<8xf32> -> tensor<8xf32>
  %at_min2 = tile.view_atomic_rmw min, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xf32> -> tensor<8xf32>
  %at_min3 = tile.view_atomic_rmw min, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f32
  %at_exchange0 = tile.atomic_rmw exchange, %p[%n : i32], %s : !tile.ptr<f32, 16>, f32 -> f32
  %at_exchange1 = tile.atomic_rmw exchange, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f32, 16>, tensor<8xf32> -> tensor<8xf32>
  %at_exchange2 = tile.view_atomic_rmw exchange, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f32, sizes = [1, 1], strides = [16, 0], align = 4, wide = false>, tensor<8xf32> -> tensor<8xf32>
  %at_exchange3 = tile.view_atomic_rmw exchange, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f32, sizes = [1], strides = [0], align = 4, wide = false>, f32 -> f32
  tile.return
}

tile.kernel @arithmetic_f32(%s: f32) {
  %t = tile.splat %s : f32 -> tensor<8xf32>
  %addf = arith.addf %t, %t : tensor<8xf32>
  %addf_s = arith.addf %s, %s : f32
  %subf = arith.subf %t, %t : tensor<8xf32>
  %subf_s = arith.subf %s, %s : f32
  %mulf = arith.mulf %t, %t : tensor<8xf32>
  %mulf_s = arith.mulf %s, %s : f32
  %divf = arith.divf %t, %t : tensor<8xf32>
  %divf_s = arith.divf %s, %s : f32
  %remf = arith.remf %t, %t : tensor<8xf32>
  %remf_s = arith.remf %s, %s : f32
  %maximumf = arith.maximumf %t, %t : tensor<8xf32>
  %maximumf_s = arith.maximumf %s, %s : f32
  %minimumf = arith.minimumf %t, %t : tensor<8xf32>
  %minimumf_s = arith.minimumf %s, %s : f32
  %maxnumf = arith.maxnumf %t, %t : tensor<8xf32>
  %maxnumf_s = arith.maxnumf %s, %s : f32
  %minnumf = arith.minnumf %t, %t : tensor<8xf32>
  %minnumf_s = arith.minnumf %s, %s : f32
  %neg = arith.negf %t : tensor<8xf32>
  %p_false = arith.cmpf false, %t, %t : tensor<8xf32>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xf32>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xf32>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xf32>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xf32>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xf32>
  %p_one = arith.cmpf one, %t, %t : tensor<8xf32>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xf32>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xf32>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xf32>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xf32>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xf32>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xf32>
  %p_une = arith.cmpf une, %t, %t : tensor<8xf32>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xf32>
  %p_true = arith.cmpf true, %t, %t : tensor<8xf32>
  %exp = math.exp %t : tensor<8xf32>
  %exp2 = math.exp2 %t : tensor<8xf32>
  %log = math.log %t : tensor<8xf32>
  %log2 = math.log2 %t : tensor<8xf32>
  %sqrt = math.sqrt %t : tensor<8xf32>
  %rsqrt = math.rsqrt %t : tensor<8xf32>
  %tanh = math.tanh %t : tensor<8xf32>
  %erf = math.erf %t : tensor<8xf32>
  %absf = math.absf %t : tensor<8xf32>
  %floor = math.floor %t : tensor<8xf32>
  %ceil = math.ceil %t : tensor<8xf32>
  %sin = math.sin %t : tensor<8xf32>
  %cos = math.cos %t : tensor<8xf32>
  %fma = math.fma %t, %t, %t : tensor<8xf32>
  %sigmoid = tile.sigmoid %t : tensor<8xf32>
  %sigmoid_s = tile.sigmoid %s : f32
  %fe = tile.fast_exp2 %t : tensor<8xf32>
  %fd = tile.fast_div %t, %t : tensor<8xf32>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_f64(
tile.kernel @memory_f64(%p: !tile.ptr<f64, 16>, %v1: !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>, %v2: !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, %v3: !tile.view<f64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true>, %s: f64, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : f64 -> tensor<8xf64>
  %q = tile.addptr %p, %n : !tile.ptr<f64, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<f64>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<f64, 16> -> f64
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : f64 : !tile.ptr<f64> -> f64
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<f64, 16> -> tensor<8xf64>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<f64, 16> -> tensor<8xf64>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : f64 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : f64 : !tile.ptr<f64, 16> -> tensor<8xf64>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : f64 : !tile.ptr<f64, 16> -> tensor<8xf64>
  tile.store %p[%n : i32], %s : f64 : !tile.ptr<f64, 16>
  tile.store %p[%w : i64], %s : f64, mask %c : i1 : !tile.ptr<f64, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xf64> : !tile.ptr<f64, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xf64>, mask %m : tensor<8xi1> : !tile.ptr<f64, 16>
  %d = tile.dim %v3, 2 : !tile.view<f64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<f64, sizes = [1, 1, 1], strides = [16, 16, 0], align = 8, wide = true> -> !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false> -> f64
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xf64>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : f64 clip [true, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xf64>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : f64 clip [false, false] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<8xf64>
  tile.view_store %v1[%n : i32], %s : f64 clip [false] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xf64>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false> -> tensor<4x8xf64>
  %h = tile.block_load %v1[%n : i32], other %s : f64 : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false> -> tensor<8xf64>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<4x8xf64>
  %r0 = tile.reshape %g : tensor<4x8xf64> -> tensor<32xf64>
  %r1 = tile.expand_dims %t, 1 : tensor<8xf64> -> tensor<8x1xf64>
  %r2 = tile.broadcast %r1 : tensor<8x1xf64> -> tensor<8x4xf64>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xf64> -> tensor<4x8xf64>
  %z0 = arith.select %c, %t, %l2 : tensor<8xf64>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xf64>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xf64>, tensor<8xi32>) -> (tensor<8xf64>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xf64>) -> tensor<8xf64>
  %top, %pos = tile.topk %t, 4 : tensor<8xf64> -> tensor<4xf64>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: f64, %y: f64):
    tile.yield %y : f64
  }) {axis = 1 : i32} : (tensor<4x8xf64>) -> tensor<4xf64>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: f64, %xi: i32, %y: f64, %yi: i32):
    tile.yield %x, %yi : f64, i32
  }) {axis = 0 : i32} : (tensor<8xf64>, tensor<8xi32>) -> (f64, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: f64, %y: f64):
    tile.yield %x : f64
  }) {axis = 0 : i32, reverse} : (tensor<8xf64>) -> tensor<8xf64>
  %cast_i1 = tile.cast %t : tensor<8xf64> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xf64> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xf64> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xf64> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xf64> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xf64> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xf64> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xf64> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xf64> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xf64> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : f64 -> f32
  %at_add0 = tile.atomic_rmw add, %p[%n : i32], %s : !tile.ptr<f64, 16>, f64 -> f64
  %at_add1 = tile.atomic_rmw add, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f64, 16>, tensor<8xf64> -> tensor<8xf64>
  %at_add2 = tile.view_atomic_rmw add, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xf64> -> tensor<8xf64>
  %at_add3 = tile.view_atomic_rmw add, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>, f64 -> f64
  %at_max0 = tile.atomic_rmw max, %p[%n : i32], %s : !tile.ptr<f64, 16>, f64 -> f64
  %at_max1 = tile.atomic_rmw max, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f64, 16>, tensor<8xf64> -> tensor<8xf64>
  %at_max2 = tile.view_atomic_rmw max, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xf64> -> tensor<8xf64>
  %at_max3 = tile.view_atomic_rmw max, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>, f64 -> f64
  %at_min0 = tile.atomic_rmw min, %p[%n : i32], %s : !tile.ptr<f64, 16>, f64 -> f64
  %at_min1 = tile.atomic_rmw min, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f64, 16>, tensor<8xf64> -> tensor<8xf64>
  %at_min2 = tile.view_atomic_rmw min, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xf64> -> tensor<8xf64>
  %at_min3 = tile.view_atomic_rmw min, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>, f64 -> f64
  %at_exchange0 = tile.atomic_rmw exchange, %p[%n : i32], %s : !tile.ptr<f64, 16>, f64 -> f64
  %at_exchange1 = tile.atomic_rmw exchange, %p[%j : tensor<8xi64>], %t, mask %m : tensor<8xi1> : !tile.ptr<f64, 16>, tensor<8xf64> -> tensor<8xf64>
  %at_exchange2 = tile.view_atomic_rmw exchange, %v2[%n, %i : i32, tensor<8xi32>], %t clip [false, true] : !tile.view<f64, sizes = [1, 1], strides = [16, 0], align = 8, wide = false>, tensor<8xf64> -> tensor<8xf64>
  %at_exchange3 = tile.view_atomic_rmw exchange, %v1[%n : i32], %s, mask %c : i1 clip [true] : !tile.view<f64, sizes = [1], strides = [0], align = 8, wide = false>, f64 -> f64
  tile.return
}

tile.kernel @arithmetic_f64(%s: f64) {
  %t = tile.splat %s : f64 -> tensor<8xf64>
  %addf = arith.addf %t, %t : tensor<8xf64>
  %addf_s = arith.addf %s, %s : f64
  %subf = arith.subf %t, %t : tensor<8xf64>
  %subf_s = arith.subf %s, %s : f64
  %mulf = arith.mulf %t, %t : tensor<8xf64>
  %mulf_s = arith.mulf %s, %s : f64
  %divf = arith.divf %t, %t : tensor<8xf64>
  %divf_s = arith.divf %s, %s : f64
  %remf = arith.remf %t, %t : tensor<8xf64>
  %remf_s = arith.remf %s, %s : f64
  %maximumf = arith.maximumf %t, %t : tensor<8xf64>
  %maximumf_s = arith.maximumf %s, %s : f64
  %minimumf = arith.minimumf %t, %t : tensor<8xf64>
  %minimumf_s = arith.minimumf %s, %s : f64
  %maxnumf = arith.maxnumf %t, %t : tensor<8xf64>
  %maxnumf_s = arith.maxnumf %s, %s : f64
  %minnumf = arith.minnumf %t, %t : tensor<8xf64>
  %minnumf_s = arith.minnumf %s, %s : f64
  %neg = arith.negf %t : tensor<8xf64>
  %p_false = arith.cmpf false, %t, %t : tensor<8xf64>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xf64>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xf64>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xf64>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xf64>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xf64>
  %p_one = arith.cmpf one, %t, %t : tensor<8xf64>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xf64>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xf64>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xf64>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xf64>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xf64>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xf64>
  %p_une = arith.cmpf une, %t, %t : tensor<8xf64>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xf64>
  %p_true = arith.cmpf true, %t, %t : tensor<8xf64>
  %exp = math.exp %t : tensor<8xf64>
  %exp2 = math.exp2 %t : tensor<8xf64>
  %log = math.log %t : tensor<8xf64>
  %log2 = math.log2 %t : tensor<8xf64>
  %sqrt = math.sqrt %t : tensor<8xf64>
  %rsqrt = math.rsqrt %t : tensor<8xf64>
  %tanh = math.tanh %t : tensor<8xf64>
  %erf = math.erf %t : tensor<8xf64>
  %absf = math.absf %t : tensor<8xf64>
  %floor = math.floor %t : tensor<8xf64>
  %ceil = math.ceil %t : tensor<8xf64>
  %sin = math.sin %t : tensor<8xf64>
  %cos = math.cos %t : tensor<8xf64>
  %fma = math.fma %t, %t, %t : tensor<8xf64>
  %sigmoid = tile.sigmoid %t : tensor<8xf64>
  %sigmoid_s = tile.sigmoid %s : f64
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_f8E4M3FN(
tile.kernel @memory_f8E4M3FN(%p: !tile.ptr<f8E4M3FN, 16>, %v1: !tile.view<f8E4M3FN, sizes = [1], strides = [0], align = 1, wide = false>, %v2: !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, %v3: !tile.view<f8E4M3FN, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>, %s: f8E4M3FN, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : f8E4M3FN -> tensor<8xf8E4M3FN>
  %q = tile.addptr %p, %n : !tile.ptr<f8E4M3FN, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<f8E4M3FN>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<f8E4M3FN, 16> -> f8E4M3FN
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : f8E4M3FN : !tile.ptr<f8E4M3FN> -> f8E4M3FN
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<f8E4M3FN, 16> -> tensor<8xf8E4M3FN>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<f8E4M3FN, 16> -> tensor<8xf8E4M3FN>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : f8E4M3FN :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : f8E4M3FN : !tile.ptr<f8E4M3FN, 16> -> tensor<8xf8E4M3FN>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : f8E4M3FN : !tile.ptr<f8E4M3FN, 16> -> tensor<8xf8E4M3FN>
  tile.store %p[%n : i32], %s : f8E4M3FN : !tile.ptr<f8E4M3FN, 16>
  tile.store %p[%w : i64], %s : f8E4M3FN, mask %c : i1 : !tile.ptr<f8E4M3FN, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xf8E4M3FN> : !tile.ptr<f8E4M3FN, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xf8E4M3FN>, mask %m : tensor<8xi1> : !tile.ptr<f8E4M3FN, 16>
  %d = tile.dim %v3, 2 : !tile.view<f8E4M3FN, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<f8E4M3FN, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true> -> !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<f8E4M3FN, sizes = [1], strides = [0], align = 1, wide = false> -> f8E4M3FN
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E4M3FN>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : f8E4M3FN clip [true, true] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E4M3FN>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : f8E4M3FN clip [false, false] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E4M3FN>
  tile.view_store %v1[%n : i32], %s : f8E4M3FN clip [false] : !tile.view<f8E4M3FN, sizes = [1], strides = [0], align = 1, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xf8E4M3FN>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<4x8xf8E4M3FN>
  %h = tile.block_load %v1[%n : i32], other %s : f8E4M3FN : !tile.view<f8E4M3FN, sizes = [1], strides = [0], align = 1, wide = false> -> tensor<8xf8E4M3FN>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<f8E4M3FN, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, tensor<4x8xf8E4M3FN>
  %r0 = tile.reshape %g : tensor<4x8xf8E4M3FN> -> tensor<32xf8E4M3FN>
  %r1 = tile.expand_dims %t, 1 : tensor<8xf8E4M3FN> -> tensor<8x1xf8E4M3FN>
  %r2 = tile.broadcast %r1 : tensor<8x1xf8E4M3FN> -> tensor<8x4xf8E4M3FN>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xf8E4M3FN> -> tensor<4x8xf8E4M3FN>
  %z0 = arith.select %c, %t, %l2 : tensor<8xf8E4M3FN>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xf8E4M3FN>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xf8E4M3FN>, tensor<8xi32>) -> (tensor<8xf8E4M3FN>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xf8E4M3FN>) -> tensor<8xf8E4M3FN>
  %top, %pos = tile.topk %t, 4 : tensor<8xf8E4M3FN> -> tensor<4xf8E4M3FN>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: f8E4M3FN, %y: f8E4M3FN):
    tile.yield %y : f8E4M3FN
  }) {axis = 1 : i32} : (tensor<4x8xf8E4M3FN>) -> tensor<4xf8E4M3FN>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: f8E4M3FN, %xi: i32, %y: f8E4M3FN, %yi: i32):
    tile.yield %x, %yi : f8E4M3FN, i32
  }) {axis = 0 : i32} : (tensor<8xf8E4M3FN>, tensor<8xi32>) -> (f8E4M3FN, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: f8E4M3FN, %y: f8E4M3FN):
    tile.yield %x : f8E4M3FN
  }) {axis = 0 : i32, reverse} : (tensor<8xf8E4M3FN>) -> tensor<8xf8E4M3FN>
  %cast_i1 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xf8E4M3FN> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : f8E4M3FN -> f32
  tile.return
}

tile.kernel @arithmetic_f8E4M3FN(%s: f8E4M3FN) {
  %t = tile.splat %s : f8E4M3FN -> tensor<8xf8E4M3FN>
  %addf = arith.addf %t, %t : tensor<8xf8E4M3FN>
  %addf_s = arith.addf %s, %s : f8E4M3FN
  %subf = arith.subf %t, %t : tensor<8xf8E4M3FN>
  %subf_s = arith.subf %s, %s : f8E4M3FN
  %mulf = arith.mulf %t, %t : tensor<8xf8E4M3FN>
  %mulf_s = arith.mulf %s, %s : f8E4M3FN
  %divf = arith.divf %t, %t : tensor<8xf8E4M3FN>
  %divf_s = arith.divf %s, %s : f8E4M3FN
  %remf = arith.remf %t, %t : tensor<8xf8E4M3FN>
  %remf_s = arith.remf %s, %s : f8E4M3FN
  %maximumf = arith.maximumf %t, %t : tensor<8xf8E4M3FN>
  %maximumf_s = arith.maximumf %s, %s : f8E4M3FN
  %minimumf = arith.minimumf %t, %t : tensor<8xf8E4M3FN>
  %minimumf_s = arith.minimumf %s, %s : f8E4M3FN
  %maxnumf = arith.maxnumf %t, %t : tensor<8xf8E4M3FN>
  %maxnumf_s = arith.maxnumf %s, %s : f8E4M3FN
  %minnumf = arith.minnumf %t, %t : tensor<8xf8E4M3FN>
  %minnumf_s = arith.minnumf %s, %s : f8E4M3FN
  %neg = arith.negf %t : tensor<8xf8E4M3FN>
  %p_false = arith.cmpf false, %t, %t : tensor<8xf8E4M3FN>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xf8E4M3FN>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xf8E4M3FN>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xf8E4M3FN>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xf8E4M3FN>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xf8E4M3FN>
  %p_one = arith.cmpf one, %t, %t : tensor<8xf8E4M3FN>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xf8E4M3FN>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xf8E4M3FN>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xf8E4M3FN>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xf8E4M3FN>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xf8E4M3FN>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xf8E4M3FN>
  %p_une = arith.cmpf une, %t, %t : tensor<8xf8E4M3FN>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xf8E4M3FN>
  %p_true = arith.cmpf true, %t, %t : tensor<8xf8E4M3FN>
  %exp = math.exp %t : tensor<8xf8E4M3FN>
  %exp2 = math.exp2 %t : tensor<8xf8E4M3FN>
  %log = math.log %t : tensor<8xf8E4M3FN>
  %log2 = math.log2 %t : tensor<8xf8E4M3FN>
  %sqrt = math.sqrt %t : tensor<8xf8E4M3FN>
  %rsqrt = math.rsqrt %t : tensor<8xf8E4M3FN>
  %tanh = math.tanh %t : tensor<8xf8E4M3FN>
  %erf = math.erf %t : tensor<8xf8E4M3FN>
  %absf = math.absf %t : tensor<8xf8E4M3FN>
  %floor = math.floor %t : tensor<8xf8E4M3FN>
  %ceil = math.ceil %t : tensor<8xf8E4M3FN>
  %sin = math.sin %t : tensor<8xf8E4M3FN>
  %cos = math.cos %t : tensor<8xf8E4M3FN>
  %fma = math.fma %t, %t, %t : tensor<8xf8E4M3FN>
  tile.return
}

// CHECK-LABEL: tile.kernel @memory_f8E5M2(
tile.kernel @memory_f8E5M2(%p: !tile.ptr<f8E5M2, 16>, %v1: !tile.view<f8E5M2, sizes = [1], strides = [0], align = 1, wide = false>, %v2: !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, %v3: !tile.view<f8E5M2, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>, %s: f8E5M2, %n: i32, %w: i64, %c: i1) {
  tile.grid %n, %n, %n
  tile.expect %v2, [%n, %n] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %i = tile.arange -3 : tensor<8xi32>
  %j = tile.cast %i : tensor<8xi32> -> tensor<8xi64>
  %m = arith.constant dense<[true, false, true, true, false, false, true, false]> : tensor<8xi1>
  %t = tile.splat %s : f8E5M2 -> tensor<8xf8E5M2>
  %q = tile.addptr %p, %n : !tile.ptr<f8E5M2, 16>, i32
  %q2 = tile.addptr %q, %w : !tile.ptr<f8E5M2>, i64
  %l0 = tile.load %p[%n : i32] : !tile.ptr<f8E5M2, 16> -> f8E5M2
  %l1 = tile.load %q2[%w : i64], mask %c : i1, other %s : f8E5M2 : !tile.ptr<f8E5M2> -> f8E5M2
  %l2 = tile.load %p[%i : tensor<8xi32>] : !tile.ptr<f8E5M2, 16> -> tensor<8xf8E5M2>
  %l3 = tile.load %p[%j : tensor<8xi64>], mask %m : tensor<8xi1> : !tile.ptr<f8E5M2, 16> -> tensor<8xf8E5M2>
  // CHECK: tile.load %{{.*}}, other %arg{{[0-9]+}} : f8E5M2 :
  %l4 = tile.load %p[%j : tensor<8xi64>], other %s : f8E5M2 : !tile.ptr<f8E5M2, 16> -> tensor<8xf8E5M2>
  %l5 = tile.load %p[%j : tensor<8xi64>], mask %c : i1, other %s : f8E5M2 : !tile.ptr<f8E5M2, 16> -> tensor<8xf8E5M2>
  tile.store %p[%n : i32], %s : f8E5M2 : !tile.ptr<f8E5M2, 16>
  tile.store %p[%w : i64], %s : f8E5M2, mask %c : i1 : !tile.ptr<f8E5M2, 16>
  tile.store %p[%i : tensor<8xi32>], %t : tensor<8xf8E5M2> : !tile.ptr<f8E5M2, 16>
  tile.store %p[%j : tensor<8xi64>], %t : tensor<8xf8E5M2>, mask %m : tensor<8xi1> : !tile.ptr<f8E5M2, 16>
  %d = tile.dim %v3, 2 : !tile.view<f8E5M2, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true>
  %sub = tile.subview %v2[%n, %n][%n, %d] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %at = tile.view_at %v3[%w : i64] : !tile.view<f8E5M2, sizes = [1, 1, 1], strides = [16, 16, 0], align = 1, wide = true> -> !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = true>
  %a = tile.view_load %v1[%n : i32] clip [false] : !tile.view<f8E5M2, sizes = [1], strides = [0], align = 1, wide = false> -> f8E5M2
  %b = tile.view_load %v2[%n, %i : i32, tensor<8xi32>], mask %m : tensor<8xi1> clip [false, true] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E5M2>
  %e = tile.view_load %sub[%w, %j : i64, tensor<8xi64>], other %s : f8E5M2 clip [true, true] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E5M2>
  %f = tile.view_load %v2[%w, %j : i64, tensor<8xi64>], mask %c : i1, other %s : f8E5M2 clip [false, false] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<8xf8E5M2>
  tile.view_store %v1[%n : i32], %s : f8E5M2 clip [false] : !tile.view<f8E5M2, sizes = [1], strides = [0], align = 1, wide = false>
  tile.view_store %v2[%n, %i : i32, tensor<8xi32>], %t : tensor<8xf8E5M2>, mask %m : tensor<8xi1> clip [true, false] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>
  %g = tile.block_load %v2[%n, %w : i32, i64] : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false> -> tensor<4x8xf8E5M2>
  %h = tile.block_load %v1[%n : i32], other %s : f8E5M2 : !tile.view<f8E5M2, sizes = [1], strides = [0], align = 1, wide = false> -> tensor<8xf8E5M2>
  tile.block_store %v2[%n, %w : i32, i64], %g : !tile.view<f8E5M2, sizes = [1, 1], strides = [16, 0], align = 1, wide = false>, tensor<4x8xf8E5M2>
  %r0 = tile.reshape %g : tensor<4x8xf8E5M2> -> tensor<32xf8E5M2>
  %r1 = tile.expand_dims %t, 1 : tensor<8xf8E5M2> -> tensor<8x1xf8E5M2>
  %r2 = tile.broadcast %r1 : tensor<8x1xf8E5M2> -> tensor<8x4xf8E5M2>
  %r3 = tile.trans %r2, [1, 0] : tensor<8x4xf8E5M2> -> tensor<4x8xf8E5M2>
  %z0 = arith.select %c, %t, %l2 : tensor<8xf8E5M2>
  %z1 = arith.select %m, %t, %l2 : tensor<8xi1>, tensor<8xf8E5M2>
  %k:2 = "tile.sort"(%t, %i) {descending, unsigned_key} : (tensor<8xf8E5M2>, tensor<8xi32>) -> (tensor<8xf8E5M2>, tensor<8xi32>)
  %k1 = "tile.sort"(%t) : (tensor<8xf8E5M2>) -> tensor<8xf8E5M2>
  %top, %pos = tile.topk %t, 4 : tensor<8xf8E5M2> -> tensor<4xf8E5M2>, tensor<4xi32>
  %red = "tile.reduce"(%r3) ({
  ^bb0(%x: f8E5M2, %y: f8E5M2):
    tile.yield %y : f8E5M2
  }) {axis = 1 : i32} : (tensor<4x8xf8E5M2>) -> tensor<4xf8E5M2>
  %red2:2 = "tile.reduce"(%t, %i) ({
  ^bb0(%x: f8E5M2, %xi: i32, %y: f8E5M2, %yi: i32):
    tile.yield %x, %yi : f8E5M2, i32
  }) {axis = 0 : i32} : (tensor<8xf8E5M2>, tensor<8xi32>) -> (f8E5M2, i32)
  %scan = "tile.scan"(%t) ({
  ^bb0(%x: f8E5M2, %y: f8E5M2):
    tile.yield %x : f8E5M2
  }) {axis = 0 : i32, reverse} : (tensor<8xf8E5M2>) -> tensor<8xf8E5M2>
  %cast_i1 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xi1>
  %cast_i8 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xi8>
  %cast_i32 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xi32>
  %cast_i64 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xi64>
  %cast_f16 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xf16>
  %cast_bf16 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xbf16>
  %cast_f32 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xf32>
  %cast_f64 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xf64>
  %cast_f8E4M3FN = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xf8E4M3FN>
  %cast_f8E5M2 = tile.cast %t : tensor<8xf8E5M2> -> tensor<8xf8E5M2>
  %cast_s = tile.cast %s : f8E5M2 -> f32
  tile.return
}

tile.kernel @arithmetic_f8E5M2(%s: f8E5M2) {
  %t = tile.splat %s : f8E5M2 -> tensor<8xf8E5M2>
  %addf = arith.addf %t, %t : tensor<8xf8E5M2>
  %addf_s = arith.addf %s, %s : f8E5M2
  %subf = arith.subf %t, %t : tensor<8xf8E5M2>
  %subf_s = arith.subf %s, %s : f8E5M2
  %mulf = arith.mulf %t, %t : tensor<8xf8E5M2>
  %mulf_s = arith.mulf %s, %s : f8E5M2
  %divf = arith.divf %t, %t : tensor<8xf8E5M2>
  %divf_s = arith.divf %s, %s : f8E5M2
  %remf = arith.remf %t, %t : tensor<8xf8E5M2>
  %remf_s = arith.remf %s, %s : f8E5M2
  %maximumf = arith.maximumf %t, %t : tensor<8xf8E5M2>
  %maximumf_s = arith.maximumf %s, %s : f8E5M2
  %minimumf = arith.minimumf %t, %t : tensor<8xf8E5M2>
  %minimumf_s = arith.minimumf %s, %s : f8E5M2
  %maxnumf = arith.maxnumf %t, %t : tensor<8xf8E5M2>
  %maxnumf_s = arith.maxnumf %s, %s : f8E5M2
  %minnumf = arith.minnumf %t, %t : tensor<8xf8E5M2>
  %minnumf_s = arith.minnumf %s, %s : f8E5M2
  %neg = arith.negf %t : tensor<8xf8E5M2>
  %p_false = arith.cmpf false, %t, %t : tensor<8xf8E5M2>
  %p_oeq = arith.cmpf oeq, %t, %t : tensor<8xf8E5M2>
  %p_ogt = arith.cmpf ogt, %t, %t : tensor<8xf8E5M2>
  %p_oge = arith.cmpf oge, %t, %t : tensor<8xf8E5M2>
  %p_olt = arith.cmpf olt, %t, %t : tensor<8xf8E5M2>
  %p_ole = arith.cmpf ole, %t, %t : tensor<8xf8E5M2>
  %p_one = arith.cmpf one, %t, %t : tensor<8xf8E5M2>
  %p_ord = arith.cmpf ord, %t, %t : tensor<8xf8E5M2>
  %p_ueq = arith.cmpf ueq, %t, %t : tensor<8xf8E5M2>
  %p_ugt = arith.cmpf ugt, %t, %t : tensor<8xf8E5M2>
  %p_uge = arith.cmpf uge, %t, %t : tensor<8xf8E5M2>
  %p_ult = arith.cmpf ult, %t, %t : tensor<8xf8E5M2>
  %p_ule = arith.cmpf ule, %t, %t : tensor<8xf8E5M2>
  %p_une = arith.cmpf une, %t, %t : tensor<8xf8E5M2>
  %p_uno = arith.cmpf uno, %t, %t : tensor<8xf8E5M2>
  %p_true = arith.cmpf true, %t, %t : tensor<8xf8E5M2>
  %exp = math.exp %t : tensor<8xf8E5M2>
  %exp2 = math.exp2 %t : tensor<8xf8E5M2>
  %log = math.log %t : tensor<8xf8E5M2>
  %log2 = math.log2 %t : tensor<8xf8E5M2>
  %sqrt = math.sqrt %t : tensor<8xf8E5M2>
  %rsqrt = math.rsqrt %t : tensor<8xf8E5M2>
  %tanh = math.tanh %t : tensor<8xf8E5M2>
  %erf = math.erf %t : tensor<8xf8E5M2>
  %absf = math.absf %t : tensor<8xf8E5M2>
  %floor = math.floor %t : tensor<8xf8E5M2>
  %ceil = math.ceil %t : tensor<8xf8E5M2>
  %sin = math.sin %t : tensor<8xf8E5M2>
  %cos = math.cos %t : tensor<8xf8E5M2>
  %fma = math.fma %t, %t, %t : tensor<8xf8E5M2>
  tile.return
}

// CHECK-LABEL: tile.kernel @structure
!one = !tile.view<f32, sizes = [16], strides = [4], align = 4, wide = true>
!zero = !tile.view<f32, sizes = [], strides = [], align = 4, wide = true>
tile.kernel @structure(%n: i32, %c: i1, %v: !one) {
  // CHECK: tile.grid persistent
  tile.grid persistent
  %x = tile.program_id 0
  %y = tile.num_programs 2
  tile.barrier
  // CHECK: !tile.view<f32, sizes = [], strides = [], align = 4, wide = true>
  %v0 = tile.view_at %v[%n : i32] : !one -> !zero
  %e0 = tile.view_load %v0[] clip [] : !zero -> f32
  tile.view_store %v0[], %e0 : f32 clip [] : !zero
  tile.assert %c, "a \"quoted\" message" : i1
  %i = tile.arange 0 : tensor<16xi32>
  %z = arith.constant dense<0> : tensor<16xi32>
  %ok = arith.cmpi sge, %i, %z : tensor<16xi32>
  tile.assert %ok, "tile" : tensor<16xi1>
  %h = tile.histogram %i : tensor<16xi32> -> tensor<8xi32>
  %hm = tile.histogram %i, mask %ok : tensor<16xi1> : tensor<16xi32> -> tensor<8xi32>
  %f = scf.for %k = %x to %n step %y iter_args(%a = %i) -> (tensor<16xi32>) : i32 {
    %b = scf.if %c -> (tensor<16xi32>) {
      scf.yield %a : tensor<16xi32>
    } else {
      scf.yield %z : tensor<16xi32>
    }
    scf.yield %b : tensor<16xi32>
  }
  %w = scf.while (%k = %n) : (i32) -> i32 {
    scf.condition(%c) %k : i32
  } do {
  ^bb0(%k: i32):
    scf.yield %k : i32
  }
  tile.return
}

tile.kernel @dots() {
  %a0 = arith.constant dense<1.0> : tensor<16x32xf16>
  %b0 = arith.constant dense<1.0> : tensor<32x8xf16>
  %c0 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d0 = tile.dot %a0, %b0, %c0 : tensor<16x32xf16>, tensor<32x8xf16> -> tensor<16x8xf32>
  %a1 = arith.constant dense<1.0> : tensor<16x32xbf16>
  %b1 = arith.constant dense<1.0> : tensor<32x8xbf16>
  %c1 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d1 = tile.dot %a1, %b1, %c1 : tensor<16x32xbf16>, tensor<32x8xbf16> -> tensor<16x8xf32>
  %a2 = arith.constant dense<1.0> : tensor<16x32xf8E4M3FN>
  %b2 = arith.constant dense<1.0> : tensor<32x8xf8E4M3FN>
  %c2 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d2 = tile.dot %a2, %b2, %c2 : tensor<16x32xf8E4M3FN>, tensor<32x8xf8E4M3FN> -> tensor<16x8xf32>
  %a3 = arith.constant dense<1.0> : tensor<16x32xf8E5M2>
  %b3 = arith.constant dense<1.0> : tensor<32x8xf8E5M2>
  %c3 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d3 = tile.dot %a3, %b3, %c3 : tensor<16x32xf8E5M2>, tensor<32x8xf8E5M2> -> tensor<16x8xf32>
  %a4 = arith.constant dense<1.0> : tensor<16x32xf8E4M3FN>
  %b4 = arith.constant dense<1.0> : tensor<32x8xf8E5M2>
  %c4 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d4 = tile.dot %a4, %b4, %c4 : tensor<16x32xf8E4M3FN>, tensor<32x8xf8E5M2> -> tensor<16x8xf32>
  %a5 = arith.constant dense<1.0> : tensor<16x32xf8E5M2>
  %b5 = arith.constant dense<1.0> : tensor<32x8xf8E4M3FN>
  %c5 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d5 = tile.dot %a5, %b5, %c5 : tensor<16x32xf8E5M2>, tensor<32x8xf8E4M3FN> -> tensor<16x8xf32>
  %a6 = arith.constant dense<1.0> : tensor<16x32xf32>
  %b6 = arith.constant dense<1.0> : tensor<32x8xf32>
  %c6 = arith.constant dense<0.0> : tensor<16x8xf32>
  %d6 = tile.dot %a6, %b6, %c6 : tensor<16x32xf32>, tensor<32x8xf32> -> tensor<16x8xf32>
  %a7 = arith.constant dense<1.0> : tensor<16x32xf64>
  %b7 = arith.constant dense<1.0> : tensor<32x8xf64>
  %c7 = arith.constant dense<0.0> : tensor<16x8xf64>
  %d7 = tile.dot %a7, %b7, %c7 : tensor<16x32xf64>, tensor<32x8xf64> -> tensor<16x8xf64>
  tile.return
}

// Constants by their bits: NaN with payloads, infinities, both zeros, the least denormal.
// CHECK-LABEL: tile.kernel @constants
tile.kernel @constants() {
  // CHECK: arith.constant 0x7E01 : f16
  %f16_0 = arith.constant 0x7E01 : f16
  // CHECK: arith.constant dense<0x7E01> : tensor<8xf16>
  %f16_0t = arith.constant dense<0x7E01> : tensor<8xf16>
  // CHECK: arith.constant 0x7C00 : f16
  %f16_1 = arith.constant 0x7C00 : f16
  // CHECK: arith.constant dense<0x7C00> : tensor<8xf16>
  %f16_1t = arith.constant dense<0x7C00> : tensor<8xf16>
  // CHECK: arith.constant 0xFC00 : f16
  %f16_2 = arith.constant 0xFC00 : f16
  // CHECK: arith.constant dense<0xFC00> : tensor<8xf16>
  %f16_2t = arith.constant dense<0xFC00> : tensor<8xf16>
  %f16_3 = arith.constant 0x0001 : f16
  %f16_3t = arith.constant dense<0x0001> : tensor<8xf16>
  // CHECK: arith.constant -0.000000e+00 : f16
  %f16_z = arith.constant -0.0 : f16
  %f16_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7E01, 0x7E01, 2.0, 0.5]> : tensor<8xf16>
  // CHECK: arith.constant 0x7FC1 : bf16
  %bf16_0 = arith.constant 0x7FC1 : bf16
  // CHECK: arith.constant dense<0x7FC1> : tensor<8xbf16>
  %bf16_0t = arith.constant dense<0x7FC1> : tensor<8xbf16>
  // CHECK: arith.constant 0x7F80 : bf16
  %bf16_1 = arith.constant 0x7F80 : bf16
  // CHECK: arith.constant dense<0x7F80> : tensor<8xbf16>
  %bf16_1t = arith.constant dense<0x7F80> : tensor<8xbf16>
  // CHECK: arith.constant 0xFF80 : bf16
  %bf16_2 = arith.constant 0xFF80 : bf16
  // CHECK: arith.constant dense<0xFF80> : tensor<8xbf16>
  %bf16_2t = arith.constant dense<0xFF80> : tensor<8xbf16>
  %bf16_3 = arith.constant 0x0001 : bf16
  %bf16_3t = arith.constant dense<0x0001> : tensor<8xbf16>
  // CHECK: arith.constant -0.000000e+00 : bf16
  %bf16_z = arith.constant -0.0 : bf16
  %bf16_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FC1, 0x7FC1, 2.0, 0.5]> : tensor<8xbf16>
  // CHECK: arith.constant 0x7FC00001 : f32
  %f32_0 = arith.constant 0x7FC00001 : f32
  // CHECK: arith.constant dense<0x7FC00001> : tensor<8xf32>
  %f32_0t = arith.constant dense<0x7FC00001> : tensor<8xf32>
  // CHECK: arith.constant 0x7F800000 : f32
  %f32_1 = arith.constant 0x7F800000 : f32
  // CHECK: arith.constant dense<0x7F800000> : tensor<8xf32>
  %f32_1t = arith.constant dense<0x7F800000> : tensor<8xf32>
  // CHECK: arith.constant 0xFF800000 : f32
  %f32_2 = arith.constant 0xFF800000 : f32
  // CHECK: arith.constant dense<0xFF800000> : tensor<8xf32>
  %f32_2t = arith.constant dense<0xFF800000> : tensor<8xf32>
  // CHECK: arith.constant -0.000000e+00 : f32
  %f32_z = arith.constant -0.0 : f32
  %f32_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FC00001, 0x7FC00001, 2.0, 0.5]> : tensor<8xf32>
  // CHECK: arith.constant 0x7FF8000000000001 : f64
  %f64_0 = arith.constant 0x7FF8000000000001 : f64
  // CHECK: arith.constant dense<0x7FF8000000000001> : tensor<8xf64>
  %f64_0t = arith.constant dense<0x7FF8000000000001> : tensor<8xf64>
  // CHECK: arith.constant 0x7FF0000000000000 : f64
  %f64_1 = arith.constant 0x7FF0000000000000 : f64
  // CHECK: arith.constant dense<0x7FF0000000000000> : tensor<8xf64>
  %f64_1t = arith.constant dense<0x7FF0000000000000> : tensor<8xf64>
  // CHECK: arith.constant 0xFFF0000000000000 : f64
  %f64_2 = arith.constant 0xFFF0000000000000 : f64
  // CHECK: arith.constant dense<0xFFF0000000000000> : tensor<8xf64>
  %f64_2t = arith.constant dense<0xFFF0000000000000> : tensor<8xf64>
  // CHECK: arith.constant -0.000000e+00 : f64
  %f64_z = arith.constant -0.0 : f64
  %f64_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7FF8000000000001, 0x7FF8000000000001, 2.0, 0.5]> : tensor<8xf64>
  // CHECK: arith.constant 0x7F : f8E4M3FN
  %f8E4M3FN_0 = arith.constant 0x7F : f8E4M3FN
  // CHECK: arith.constant dense<0x7F> : tensor<8xf8E4M3FN>
  %f8E4M3FN_0t = arith.constant dense<0x7F> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant 0xFF : f8E4M3FN
  %f8E4M3FN_1 = arith.constant 0xFF : f8E4M3FN
  // CHECK: arith.constant dense<0xFF> : tensor<8xf8E4M3FN>
  %f8E4M3FN_1t = arith.constant dense<0xFF> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant -0.000000e+00 : f8E4M3FN
  %f8E4M3FN_z = arith.constant -0.0 : f8E4M3FN
  %f8E4M3FN_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7F, 0x7F, 2.0, 0.5]> : tensor<8xf8E4M3FN>
  // CHECK: arith.constant 0x7D : f8E5M2
  %f8E5M2_0 = arith.constant 0x7D : f8E5M2
  // CHECK: arith.constant dense<0x7D> : tensor<8xf8E5M2>
  %f8E5M2_0t = arith.constant dense<0x7D> : tensor<8xf8E5M2>
  // CHECK: arith.constant 0x7C : f8E5M2
  %f8E5M2_1 = arith.constant 0x7C : f8E5M2
  // CHECK: arith.constant dense<0x7C> : tensor<8xf8E5M2>
  %f8E5M2_1t = arith.constant dense<0x7C> : tensor<8xf8E5M2>
  // CHECK: arith.constant 0xFC : f8E5M2
  %f8E5M2_2 = arith.constant 0xFC : f8E5M2
  // CHECK: arith.constant dense<0xFC> : tensor<8xf8E5M2>
  %f8E5M2_2t = arith.constant dense<0xFC> : tensor<8xf8E5M2>
  // CHECK: arith.constant -0.000000e+00 : f8E5M2
  %f8E5M2_z = arith.constant -0.0 : f8E5M2
  %f8E5M2_l = arith.constant dense<[0.0, -0.0, 1.0, -1.5, 0x7D, 0x7D, 2.0, 0.5]> : tensor<8xf8E5M2>
  // CHECK: arith.constant 1.401300e-45 : f32
  %least = arith.constant 1.0e-45 : f32
  // CHECK: arith.constant 0.333333343 : f32
  %third = arith.constant 0.33333334 : f32
  %i = arith.constant -9223372036854775808 : i64
  %b = arith.constant true
  tile.return
}

// ---- with layouts

#blocked = #tilegpu.blocked<size = [1, 4], threads = [4, 8], warps = [2, 2], order = [1, 0]>
#mma = #tilegpu.mma<warps = [2, 2]>
#a = #tilegpu.dot_operand<0, bits = 16, parent = #mma>
#b = #tilegpu.dot_operand<1, bits = 16, parent = #mma>
#row = #tilegpu.slice<dim = 0, size = 32, parent = #blocked>
#swizzled = #tilegpu.swizzled<vec = 8, per_phase = 2, max_phase = 4, order = [1, 0]>
!buffer = !tilegpu.buffer<[32, 32] x f16, stages = 3, #swizzled>

// CHECK-LABEL: tile.kernel @layouts
tile.kernel @layouts(%p: !tile.ptr<f16, 16>, %n: i32, %c: i1) {
  %row = tile.arange 0 : tensor<32xi32, #row>
  %one = tile.expand_dims %row, 0 : tensor<32xi32, #row> -> tensor<1x32xi32, #blocked>
  %o = tile.broadcast %one : tensor<1x32xi32, #blocked> -> tensor<32x32xi32, #blocked>
  %m = arith.constant dense<true> : tensor<32x32xi1, #blocked>
  %x = tile.load %p[%o : tensor<32x32xi32, #blocked>], mask %m : tensor<32x32xi1, #blocked> : !tile.ptr<f16, 16> -> tensor<32x32xf16, #blocked>
  %s = tilegpu.alloc : !buffer
  %t = tilegpu.alloc {offset = 128 : i32} : !buffer
  tilegpu.local_store %x, %s[%n] : tensor<32x32xf16, #blocked>, !buffer
  tilegpu.async_copy %p[%o : tensor<32x32xi32, #blocked>] to %t[%n] : !tile.ptr<f16, 16>, !buffer
  tilegpu.async_copy %p[%o : tensor<32x32xi32, #blocked>] to %t[%n], mask %m : tensor<32x32xi1, #blocked> : !tile.ptr<f16, 16>, !buffer
  tilegpu.async_commit
  tilegpu.async_wait 1
  tilegpu.barrier
  %a = tilegpu.local_load %s[%n] : !buffer -> tensor<32x32xf16, #a>
  %b = tilegpu.local_load %t[%n] trans : !buffer -> tensor<32x32xf16, #b>
  %acc = arith.constant dense<0.0> : tensor<32x32xf32, #mma>
  %d = tile.dot %a, %b, %acc : tensor<32x32xf16, #a>, tensor<32x32xf16, #b> -> tensor<32x32xf32, #mma>
  %e = tilegpu.convert_layout %d : tensor<32x32xf32, #mma> -> tensor<32x32xf32, #blocked>
  tile.return
}
