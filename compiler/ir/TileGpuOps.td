// The `tilegpu` dialect: only what has no meaning without threads or memory. Layouts are encodings of tile types.
#ifndef MOEC_TILEGPU_OPS
#define MOEC_TILEGPU_OPS

include "compiler/ir/TileOps.td"

def TileGpu_Dialect : Dialect {
  let name = "tilegpu";
  let cppNamespace = "::moec::tilegpu";
  let summary = "Threads and shared memory: layouts, shared buffers, asynchronous copies, barriers";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::moec::tile::TileDialect"];
}

// ------------------------------------------------------------------------------------------------------------- layouts

def TileGpu_LayoutInterface : AttrInterface<"LayoutAttrInterface"> {
  let cppNamespace = "::moec::tilegpu";
  let description = "Every encoding is a readable spelling of a linear layout; nothing but that linear layout is ever looked at.";
  let methods = [
    InterfaceMethod<"the linear layout of a tile of this shape: (register, lane, warp) to coordinates",
      "::moec::compiler::LinearLayout", "toLinearLayout", (ins "::llvm::ArrayRef<int64_t>":$shape)>
  ];
}

class TileGpu_Layout<string name, string mnemonic_> : AttrDef<TileGpu_Dialect, name, [DeclareAttrInterfaceMethods<TileGpu_LayoutInterface>]> {
  let mnemonic = mnemonic_;
}

def TileGpu_BlockedAttr : TileGpu_Layout<"Blocked", "blocked"> {
  let summary = "each thread holds a block; threads, then warps, are laid out in `order` (fastest dimension first), then the pattern repeats";
  let parameters = (ins ArrayRefParameter<"int32_t">:$sizePerThread, ArrayRefParameter<"int32_t">:$threadsPerWarp,
                        ArrayRefParameter<"int32_t">:$warpsPerCta, ArrayRefParameter<"int32_t">:$order);
  let assemblyFormat = [{
    `<` `size` `=` `[` $sizePerThread `]` `,` `threads` `=` `[` $threadsPerWarp `]` `,` `warps` `=` `[` $warpsPerCta `]` `,`
    `order` `=` `[` $order `]` `>`
  }];
}

def TileGpu_MmaAttr : TileGpu_Layout<"Mma", "mma"> {
  let summary = "accumulator of mma.sync m16n8, warps tiled over M and N";
  let parameters = (ins "int32_t":$warpsM, "int32_t":$warpsN);
  let assemblyFormat = "`<` `warps` `=` `[` $warpsM `,` $warpsN `]` `>`";
}

def TileGpu_DotOperandAttr : TileGpu_Layout<"DotOperand", "dot_operand"> {
  let summary = "operand fragment (0: A, 1: B) of mma.sync for elements of `bits` bits";
  let parameters = (ins "int32_t":$operand, "int32_t":$bits, "::moec::tilegpu::MmaAttr":$parent);
  let assemblyFormat = "`<` $operand `,` `bits` `=` $bits `,` `parent` `=` $parent `>`";
}

def TileGpu_SliceAttr : TileGpu_Layout<"Slice", "slice"> {
  let summary = "the parent's layout with dimension `dim` projected away";
  let description = "`parentShape` is the size of the removed dimension that the parent layout is taken at.";
  let parameters = (ins "int32_t":$dim, "int64_t":$dimSize, "::mlir::Attribute":$parent);
  let assemblyFormat = "`<` `dim` `=` $dim `,` `size` `=` $dimSize `,` `parent` `=` $parent `>`";
}

def TileGpu_LinearAttr : TileGpu_Layout<"Linear", "linear"> {
  let summary = "any linear layout, by its basis vectors: #tilegpu.linear<\"register = [[1]], lane = [[2], …], warp = []\">";
  let parameters = (ins StringRefParameter<"LinearLayout's compact text">:$text);
  let assemblyFormat = "`<` $text `>`";
  let genVerifyDecl = 1;
}

def TileGpu_SwizzledAttr : AttrDef<TileGpu_Dialect, "Swizzled"> {
  let mnemonic = "swizzled";
  let summary = "shared memory, row-major in `order`, with groups of `vec` elements XORed by (row / perPhase) mod maxPhase";
  let parameters = (ins "int32_t":$vec, "int32_t":$perPhase, "int32_t":$maxPhase, ArrayRefParameter<"int32_t">:$order);
  let assemblyFormat = "`<` `vec` `=` $vec `,` `per_phase` `=` $perPhase `,` `max_phase` `=` $maxPhase `,` `order` `=` `[` $order `]` `>`";
}

// ------------------------------------------------------------------------------------------------------------- buffers

def TileGpu_BufferType : TypeDef<TileGpu_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a block of shared memory that holds `stages` tiles of one shape";
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType, "int32_t":$stages, "::moec::tilegpu::SwizzledAttr":$layout);
  let assemblyFormat = "`<` `[` $shape `]` `x` $elementType `,` `stages` `=` $stages `,` $layout `>`";
  let genVerifyDecl = 1;
}

class TileGpu_Op<string mnemonic, list<Trait> traits = []> : Op<TileGpu_Dialect, mnemonic, traits>;

def TileGpu_ConvertLayoutOp : TileGpu_Op<"convert_layout", [Pure, SameOperandsAndResultShape, SameOperandsAndResultElementType]> {
  let summary = "the same tile in another layout: by registers, shuffles or shared memory, as the algebra says";
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
}

def TileGpu_AllocOp : TileGpu_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "a shared buffer; its `offset` in bytes is given by the allocate-shared pass";
  let arguments = (ins OptionalAttr<I32Attr>:$offset);
  let results = (outs TileGpu_BufferType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def TileGpu_LocalStoreOp : TileGpu_Op<"local_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "stores a tile into stage `stage` of a buffer";
  let arguments = (ins Tile_Tile:$value, TileGpu_BufferType:$buffer, I32:$stage);
  let assemblyFormat = "$value `,` $buffer `[` $stage `]` attr-dict `:` type($value) `,` type($buffer)";
  let hasVerifier = 1;
}

def TileGpu_LocalLoadOp : TileGpu_Op<"local_load", [MemoryEffects<[MemRead]>]> {
  let summary = "loads stage `stage` of a buffer as a tile, transposed if `trans`; ldmatrix where the layouts allow it";
  let arguments = (ins TileGpu_BufferType:$buffer, I32:$stage, UnitAttr:$trans);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$buffer `[` $stage `]` (`trans` $trans^)? attr-dict `:` type($buffer) `->` type($result)";
  let hasVerifier = 1;
}

def TileGpu_AsyncCopyOp : TileGpu_Op<"async_copy", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "cp.async of ptr[offset] into stage `stage` of a buffer; masked-off elements become 0";
  let arguments = (ins Tile_PtrType:$ptr, Tile_IndexTile:$offset, Optional<Tile_Pred>:$mask, TileGpu_BufferType:$buffer, I32:$stage);
  let assemblyFormat = [{
    $ptr `[` $offset `:` type($offset) `]` `to` $buffer `[` $stage `]` (`,` `mask` $mask^ `:` type($mask))? attr-dict
    `:` type($ptr) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

def TileGpu_AsyncCommitOp : TileGpu_Op<"async_commit", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "closes the group of this thread's async copies so far";
  let assemblyFormat = "attr-dict";
}

def TileGpu_AsyncWaitOp : TileGpu_Op<"async_wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "waits until at most `pending` of this thread's groups are unfinished";
  let arguments = (ins ConfinedAttr<I32Attr, [IntMinValue<0>]>:$pending);
  let assemblyFormat = "$pending attr-dict";
}

def TileGpu_BarrierOp : TileGpu_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all threads of the CTA wait (inserted by the insert-barriers pass)";
  let assemblyFormat = "attr-dict";
}

// ------------------------------------------------------------------------------------ Hopper: TMA, mbarriers, wgmma
// These ops synchronize by mbarriers and groups, as written: the insert-barriers pass leaves the buffers that only they touch alone.

def TileGpu_TensorMapType : TypeDef<TileGpu_Dialect, "TensorMap"> {
  let mnemonic = "tensormap";
  let summary = "a TMA descriptor (CUtensorMap) whose box is one tile";
  let description = [{
    A kernel argument, passed by value (128 bytes, aligned to 64). The descriptor swizzles as the buffer that it fills does: by 128 bytes for rows of
    128 bytes in `#tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, …>` of 16-bit elements.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$box, "::mlir::Type":$elementType);
  let assemblyFormat = "`<` `[` $box `]` `x` $elementType `>`";
}

def TileGpu_MBarrierInitOp : TileGpu_Op<"mbarrier_init", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "every stage of the buffer becomes an mbarrier whose phases end after `count` arrivals and the announced bytes; all threads see it";
  let arguments = (ins TileGpu_BufferType:$barriers, ConfinedAttr<I32Attr, [IntPositive]>:$count);
  let assemblyFormat = "$barriers `,` $count attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def TileGpu_MBarrierExpectOp : TileGpu_Op<"mbarrier_expect", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one arrival for the whole CTA, which announces `bytes` of asynchronous copies";
  let arguments = (ins TileGpu_BufferType:$barriers, I32:$stage, ConfinedAttr<I32Attr, [IntPositive]>:$bytes);
  let assemblyFormat = "$barriers `[` $stage `]` `,` $bytes attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def TileGpu_MBarrierArriveOp : TileGpu_Op<"mbarrier_arrive", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one arrival of every warp, after all of its threads came here";
  let arguments = (ins TileGpu_BufferType:$barriers, I32:$stage);
  let assemblyFormat = "$barriers `[` $stage `]` attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def TileGpu_MBarrierWaitOp : TileGpu_Op<"mbarrier_wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all threads wait until the phase of parity `parity` (0, 1, 0, …) has ended";
  let arguments = (ins TileGpu_BufferType:$barriers, I32:$stage, I32:$parity);
  let assemblyFormat = "$barriers `[` $stage `]` `,` $parity attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def TileGpu_TmaLoadOp : TileGpu_Op<"tma_load", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "TMA copy of the box at `coordinates` (innermost dimension first) into a stage; its bytes count at the mbarrier";
  let description = "One thread issues it. Elements outside the tensor become 0.";
  let arguments = (ins TileGpu_TensorMapType:$map, Variadic<I32>:$coordinates, TileGpu_BufferType:$buffer, I32:$stage,
                       TileGpu_BufferType:$barriers, I32:$barrierStage);
  let assemblyFormat = [{
    $map `[` $coordinates `]` `to` $buffer `[` $stage `]` `,` $barriers `[` $barrierStage `]` attr-dict
    `:` type($map) `,` type($buffer) `,` type($barriers)
  }];
  let hasVerifier = 1;
}

def TileGpu_WgmmaFenceOp : TileGpu_Op<"wgmma_fence", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "registers and shared memory written before are seen by the wgmmas after";
  let assemblyFormat = "attr-dict";
}

def TileGpu_WgmmaOp : TileGpu_Op<"wgmma", [MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["acc", "result"]>]> {
  let summary = "acc + a[M,64] * transposed b[N,64], asynchronously, by warpgroups: 64 rows of the accumulator each";
  let description = [{
    Operands: f16 or bf16 stages with rows of 128 bytes in `#tilegpu.swizzled<vec = 8, per_phase = 1, max_phase = 8, order = [1, 0]>`. The accumulator is f32
    in `#tilegpu.mma<warps = [4 * warpgroups, 1]>`, one block of 64 rows per warpgroup, N a multiple of 8 up to 256. The result may be used by other
    wgmmas and by tilegpu.wgmma_wait only (not verified: it is how the hardware writes registers).
  }];
  let arguments = (ins TileGpu_BufferType:$a, I32:$aStage, TileGpu_BufferType:$b, I32:$bStage, Tile_Tile:$acc);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $a `[` $aStage `]` `,` $b `[` $bStage `]` `,` $acc attr-dict `:` type($a) `,` type($b) `->` type($acc)
  }];
  let hasVerifier = 1;
}

def TileGpu_WgmmaCommitOp : TileGpu_Op<"wgmma_commit", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "closes the group of this warpgroup's wgmmas so far";
  let assemblyFormat = "attr-dict";
}

def TileGpu_WgmmaWaitOp : TileGpu_Op<"wgmma_wait", [MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["acc", "result"]>]> {
  let summary = "waits until at most `pending` groups are unfinished; the result is the accumulator that may now be read";
  let arguments = (ins Tile_Tile:$acc, ConfinedAttr<I32Attr, [IntMinValue<0>]>:$pending);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$acc `,` $pending attr-dict `:` type($acc)";
}

#endif
