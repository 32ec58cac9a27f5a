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

#endif
