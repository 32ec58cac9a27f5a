// The `tile` dialect: what to compute, on tensors ("tiles"), views and pointers. arith, math and scf are used as they are.
#ifndef MOEC_TILE_OPS
#define MOEC_TILE_OPS

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/RegionKindInterface.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::moec::tile";
  let summary = "What to compute, on tiles, views and pointers";
  let description = [{
    A kernel (`tile.kernel`) is run once per program of a grid. Values are scalars (i1, i8, i32, i64, f16, bf16, f32, f64,
    f8E4M3FN, f8E5M2) and tiles: ranked tensors of these whose dimensions are powers of two. Arithmetic, comparison and select are
    `arith` ops, elementary functions `math` ops, control flow `scf` ops. Every op rounds once, to nearest even, and keeps
    denormals; ops that approximate say so with their error bound. i1 elements take one byte in memory.

    NaN: what arithmetic, functions and conversions give is the canonical NaN, all bits but the sign set. Loads, stores, selections, sorts, negation, `math.absf`
    and the conversion of bf16 to f32 move bits, those of a NaN, too. On a GPU f64 arithmetic keeps an operand's NaN, by rules that PTX leaves open.

    Integer division truncates; the least number divided by -1 wraps. Division by zero is the author's mistake: the interpreter and the checked simulator
    report it. It gives all bits set, quotient and remainder alike (i64 with a dividend in 0..2^32-1: 2^32-1), which is what GPUs give.

    Error bounds, in units in the last place of the exact result; 0 is the correctly rounded one. f16 and bf16 are computed in f32 and rounded once more.
    What is not in the table rounds once or is exact.

    | op                | f32       | f64       | f16, bf16 |
    |-------------------|-----------|-----------|-----------|
    | `math.exp`        | 2         | 1         | 1         |
    | `math.exp2`       | 2         | 1         | 1         |
    | `math.expm1`      | 1         | 1         | 1         |
    | `math.log`        | 1         | 1         | 1         |
    | `math.log2`       | 1         | 1         | 1         |
    | `math.log1p`      | 1         | 1         | 1         |
    | `math.tanh`       | 2         | 1         | 1         |
    | `math.erf`        | 2         | 2         | 1         |
    | `math.sin`        | 2         | 2         | 1         |
    | `math.cos`        | 2         | 2         | 1         |
    | `math.powf`       | 4         | 2         | 1         |
    | `math.sqrt`       | 0         | 0         | 0         |
    | `math.rsqrt`      | 2         | 1         | 1         |
    | `math.fma`        | 0         | 0         | 0         |
    | `arith.divf`      | 0         | 0         | 0         |
    | `tile.sigmoid`    | its own   | 2         | not taken |
    | `tile.fast_exp2`  | 2         | not taken | not taken |
    | `tile.fast_div`   | 2         | not taken | not taken |
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect"];
}

// ---------------------------------------------------------------------------------------------------------------- types

class Tile_Type<string name, string mnemonic_> : TypeDef<Tile_Dialect, name> { let mnemonic = mnemonic_; }

def Tile_PtrType : Tile_Type<"Ptr", "ptr"> {
  let summary = "pointer to elements in global memory";
  let description = [{
    `!tile.ptr<bf16, 16>`: the address of an element; the number is the alignment in bytes that the caller guarantees
    (0: the element's own size).
  }];
  let parameters = (ins "::mlir::Type":$elementType, DefaultValuedParameter<"int64_t", "0">:$align);
  let assemblyFormat = "`<` $elementType (`,` $align^)? `>`";
}

def Tile_ViewType : Tile_Type<"View", "view"> {
  let summary = "a tensor in global memory: pointer, sizes and strides";
  let description = [{
    `!tile.view<bf16, sizes = [1, 16], strides = [8, 0], align = 16, wide = false>`: rank 2; per dimension the known divisor of
    its size, and of its stride in elements (0: the stride is exactly 1); the base pointer's alignment in bytes; `wide`: some byte
    offset needs more than 31 bits, so offsets are computed in i64. `packed = true` (not printed when false): row-major without
    gaps, so every stride is the product of the sizes after it, and a contract on those gives the stride too.
  }];
  let parameters = (ins "::mlir::Type":$elementType, OptionalArrayRefParameter<"int64_t">:$sizeDivisors,
                        OptionalArrayRefParameter<"int64_t">:$strideDivisors, "int64_t":$align, "bool":$wide,
                        DefaultValuedParameter<"bool", "false">:$packed);
  let assemblyFormat = [{
    `<` $elementType `,` `sizes` `=` `[` (`]`) : ($sizeDivisors^ `]`)? `,` `strides` `=` `[` (`]`) : ($strideDivisors^ `]`)?
    `,` `align` `=` $align `,` `wide` `=` $wide (`,` `packed` `=` $packed^)? `>`
  }];
  let extraClassDeclaration = [{
    int64_t getRank() const { return getSizeDivisors().size(); }
    bool isUnitStride(int64_t dim) const { return getStrideDivisors()[dim] == 0; }
    /// i64 for wide views, else i32: the type in which strides are passed and offsets computed.
    ::mlir::Type getOffsetType() const { return ::mlir::IntegerType::get(getContext(), getWide() ? 64 : 32); }
  }];
  let genVerifyDecl = 1;
}

def Tile_Float : AnyTypeOf<[F16, BF16, F32, F64, F8E4M3FN, F8E5M2], "floating point">;
def Tile_Int : AnyTypeOf<[I8, I32, I64], "i8, i32 or i64">;
def Tile_Index : AnyTypeOf<[I32, I64], "i32 or i64">;
def Tile_Scalar : AnyTypeOf<[I1, I8, I32, I64, F16, BF16, F32, F64, F8E4M3FN, F8E5M2], "a scalar of a tile dtype">;
def Tile_Tile : RankedTensorOf<[I1, I8, I32, I64, F16, BF16, F32, F64, F8E4M3FN, F8E5M2]>;
def Tile_IndexTile : RankedTensorOf<[I32, I64]>;
def Tile_Any : AnyTypeOf<[Tile_Scalar, Tile_Tile], "a scalar or tile">;
def Tile_Pred : AnyTypeOf<[I1, RankedTensorOf<[I1]>], "an i1 scalar or tile">;
def Tile_Offset : AnyTypeOf<[Tile_Index, Tile_IndexTile], "an i32 or i64 scalar or tile">;

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

// ------------------------------------------------------------------------------------------------------------- structure

def Tile_KernelOp : Tile_Op<"kernel", [IsolatedFromAbove, FunctionOpInterface, SingleBlock]> {
  let summary = "a kernel: run once per program of a grid";
  let description = [{
    `tile.kernel @copy(%x: !tile.view<…>, %n: i32) { …; tile.return }`. Arguments are views, pointers and scalars. Their lowered form is
    in docs/architecture.md, "Kernel parameters".
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "end of a kernel";
  let assemblyFormat = "attr-dict";
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["ReduceOp", "ScanOp"]>]> {
  let summary = "result of a combiner";
  let arguments = (ins Variadic<Tile_Scalar>:$values);
  let assemblyFormat = "attr-dict $values `:` type($values)";
}

def Tile_GridOp : Tile_Op<"grid"> {
  let summary = "the launch's grid: sizes in programs";
  let description = [{
    One to three i32 extents, or none for a persistent grid (as many programs as the device runs at once). The host evaluates them at
    launch; the compiler knows `0 <= program_id(i) < extent i`. At most one per kernel, in its top block; extents depend on
    dims and scalar arguments only.
  }];
  let arguments = (ins Variadic<I32>:$extents);
  // A word for no extents: without it the next line's result would be taken for one.
  let assemblyFormat = "($extents^) : (`persistent`)? attr-dict";
  let hasVerifier = 1;
}

def Tile_ExpectOp : Tile_Op<"expect"> {
  let summary = "shape contract: the view has these sizes";
  let description = "Checked by the host at every launch; a fact for the compiler. One i32 per dimension.";
  let arguments = (ins Tile_ViewType:$view, Variadic<I32>:$sizes);
  let assemblyFormat = "$view `,` `[` $sizes `]` attr-dict `:` type($view)";
  let hasVerifier = 1;
}

def Tile_ProgramIdOp : Tile_Op<"program_id", [Pure]> {
  let summary = "index of this program along a grid axis (0, 1 or 2)";
  let arguments = (ins ConfinedAttr<I32Attr, [IntMinValue<0>, IntMaxValue<2>]>:$axis);
  let results = (outs I32:$result);
  let assemblyFormat = "$axis attr-dict";
}

def Tile_NumProgramsOp : Tile_Op<"num_programs", [Pure]> {
  let summary = "number of programs along a grid axis (0, 1 or 2)";
  let arguments = (ins ConfinedAttr<I32Attr, [IntMinValue<0>, IntMaxValue<2>]>:$axis);
  let results = (outs I32:$result);
  let assemblyFormat = "$axis attr-dict";
}

// ------------------------------------------------------------------------------------------------------------- shapes

def Tile_ArangeOp : Tile_Op<"arange", [Pure]> {
  let summary = "start, start+1, …: one i32 per lane of a 1-D tile";
  let arguments = (ins I32Attr:$start);
  let results = (outs RankedTensorOf<[I32]>:$result);
  let assemblyFormat = "$start attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "a tile with the scalar in every element";
  let arguments = (ins Tile_Scalar:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tile_BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "repeats a tile along its dimensions of size 1; the rank stays";
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ExpandDimsOp : Tile_Op<"expand_dims", [Pure]> {
  let summary = "inserts a dimension of size 1 at `axis`";
  let arguments = (ins Tile_Tile:$value, I32Attr:$axis);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value `,` $axis attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReshapeOp : Tile_Op<"reshape", [Pure]> {
  let summary = "same elements in row-major order, other shape";
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_TransOp : Tile_Op<"trans", [Pure]> {
  let summary = "permutes dimensions: result dimension i is operand dimension order[i]";
  let arguments = (ins Tile_Tile:$value, DenseI32ArrayAttr:$order);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value `,` $order attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

// ------------------------------------------------------------------------------------------------------------- views

def Tile_DimOp : Tile_Op<"dim", [Pure]> {
  let summary = "size of a view along a dimension";
  let arguments = (ins Tile_ViewType:$view, I32Attr:$axis);
  let results = (outs I32:$result);
  let assemblyFormat = "$view `,` $axis attr-dict `:` type($view)";
  let hasVerifier = 1;
}

def Tile_SubviewOp : Tile_Op<"subview", [Pure, AttrSizedOperandSegments]> {
  let summary = "a part of a view, with bounds of its own";
  let description = [{
    Starts at `offsets` and has `sizes` (one i32 each per dimension), with the parent's strides. Offsets outside 0..size and sizes past the
    parent's end are the author's mistake. The result type keeps what is known of divisors and alignment.
  }];
  let arguments = (ins Tile_ViewType:$view, Variadic<I32>:$offsets, Variadic<I32>:$sizes);
  let results = (outs Tile_ViewType:$result);
  let assemblyFormat = "$view `[` $offsets `]` `[` $sizes `]` attr-dict `:` type($view) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ViewAtOp : Tile_Op<"view_at", [Pure]> {
  let summary = "drops the first dimension of a view at an index";
  let arguments = (ins Tile_ViewType:$view, Tile_Index:$index);
  let results = (outs Tile_ViewType:$result);
  let assemblyFormat = "$view `[` $index `:` type($index) `]` attr-dict `:` type($view) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ViewLoadOp : Tile_Op<"view_load", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "loads elements of a view by index";
  let description = [{
    One index per dimension: an i32/i64 scalar, or a tile of the result's rank whose dimensions are those of the result or 1. Where
    `clip[d]`, an index outside 0..size(d) makes the element masked off; where not, such an index is the author's mistake (checked mode reports
    it). Masked-off elements are `other` (default 0).
  }];
  let arguments = (ins Tile_ViewType:$view, Variadic<Tile_Offset>:$indices, Optional<Tile_Pred>:$mask,
                       Optional<Tile_Scalar>:$other, DenseBoolArrayAttr:$clip);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = [{
    $view `[` ($indices^ `:` type($indices))? `]` `` custom<MaskAndOther>($mask, type($mask), $other, type($other))
    `clip` $clip attr-dict `:` type($view) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_ViewStoreOp : Tile_Op<"view_store", [MemoryEffects<[MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "stores elements of a view by index; masked-off and clipped elements are not written";
  let arguments = (ins Tile_ViewType:$view, Variadic<Tile_Offset>:$indices, Tile_Any:$value, Optional<Tile_Pred>:$mask,
                       DenseBoolArrayAttr:$clip);
  let assemblyFormat = [{
    $view `[` ($indices^ `:` type($indices))? `]` `,` $value `:` type($value) (`,` `mask` $mask^ `:` type($mask))?
    `clip` $clip attr-dict `:` type($view)
  }];
  let hasVerifier = 1;
}

def Tile_BlockLoadOp : Tile_Op<"block_load", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "loads a block of a view: origin per dimension, extent from the result; outside the view it is `other` (default 0)";
  let arguments = (ins Tile_ViewType:$view, Variadic<Tile_Index>:$origins, Optional<Tile_Scalar>:$other);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $view `[` $origins `:` type($origins) `]` (`,` `other` $other^ `:` type($other))? attr-dict `:` type($view) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_BlockStoreOp : Tile_Op<"block_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "stores a block of a view; what lies outside the view is not written";
  let arguments = (ins Tile_ViewType:$view, Variadic<Tile_Index>:$origins, Tile_Tile:$value);
  let assemblyFormat = "$view `[` $origins `:` type($origins) `]` `,` $value attr-dict `:` type($view) `,` type($value)";
  let hasVerifier = 1;
}

// ------------------------------------------------------------------------------------------------------------- pointers

def Tile_AddPtrOp : Tile_Op<"addptr", [Pure, TypesMatchWith<"element types match", "ptr", "result",
    "::moec::tile::PtrType::get($_self.getContext(), ::llvm::cast<::moec::tile::PtrType>($_self).getElementType(), 0)">]> {
  let summary = "pointer plus a scalar number of elements; the result's alignment is the element's";
  let arguments = (ins Tile_PtrType:$ptr, Tile_Index:$offset);
  let results = (outs Tile_PtrType:$result);
  let assemblyFormat = "$ptr `,` $offset attr-dict `:` type($ptr) `,` type($offset)";
}

def Tile_LoadOp : Tile_Op<"load", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "loads ptr[offset] per element; masked-off elements are `other` (default 0)";
  let description = "`offset` is in elements, a scalar or a tile of the result's shape; `mask` likewise.";
  let arguments = (ins Tile_PtrType:$ptr, Tile_Offset:$offset, Optional<Tile_Pred>:$mask, Optional<Tile_Scalar>:$other);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = [{
    $ptr `[` $offset `:` type($offset) `]` `` custom<MaskAndOther>($mask, type($mask), $other, type($other))
    attr-dict `:` type($ptr) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "stores ptr[offset] = value per element where the mask is true";
  let arguments = (ins Tile_PtrType:$ptr, Tile_Offset:$offset, Tile_Any:$value, Optional<Tile_Pred>:$mask);
  let assemblyFormat = [{
    $ptr `[` $offset `:` type($offset) `]` `,` $value `:` type($value) (`,` `mask` $mask^ `:` type($mask))? attr-dict `:` type($ptr)
  }];
  let hasVerifier = 1;
}

def Tile_AtomicKind : I32EnumAttr<"AtomicKind", "read-modify-write operation", [
    I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"max", 1>, I32EnumAttrCase<"min", 2>, I32EnumAttrCase<"exchange", 3>,
    I32EnumAttrCase<"umax", 4>, I32EnumAttrCase<"umin", 5>]> {
  let cppNamespace = "::moec::tile";
  let genSpecializedAttr = 0;
}
def Tile_AtomicKindAttr : EnumAttr<Tile_Dialect, Tile_AtomicKind, "atomic_kind">;

def Tile_AtomicRmwOp : Tile_Op<"atomic_rmw", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "relaxed, device-scope ptr[offset] = op(ptr[offset], value) per element; gives the old value (0 where masked off)";
  let description = "i32 and i64: all kinds; f32, f64: add, exchange (max and min of floats: NaN loses, -0 < +0); f16, bf16: add.";
  let arguments = (ins Tile_AtomicKindAttr:$kind, Tile_PtrType:$ptr, Tile_Offset:$offset, Tile_Any:$value, Optional<Tile_Pred>:$mask);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = [{
    $kind `,` $ptr `[` $offset `:` type($offset) `]` `,` $value (`,` `mask` $mask^ `:` type($mask))? attr-dict
    `:` type($ptr) `,` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_AtomicCasOp : Tile_Op<"atomic_cas", [MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["compare", "value", "result"]>]> {
  let summary = "relaxed, device-scope compare-and-swap of ptr[offset] per element (i32, i64); gives the old value";
  let arguments = (ins Tile_PtrType:$ptr, Tile_Offset:$offset, Tile_Any:$compare, Tile_Any:$value);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$ptr `[` $offset `:` type($offset) `]` `,` $compare `,` $value attr-dict `:` type($ptr) `,` type($value)";
  let hasVerifier = 1;
}

def Tile_ViewAtomicRmwOp : Tile_Op<"view_atomic_rmw", [MemoryEffects<[MemRead, MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "tile.atomic_rmw on elements of a view; indices, clip and mask as in tile.view_load";
  let arguments = (ins Tile_AtomicKindAttr:$kind, Tile_ViewType:$view, Variadic<Tile_Offset>:$indices, Tile_Any:$value,
                       Optional<Tile_Pred>:$mask, DenseBoolArrayAttr:$clip);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = [{
    $kind `,` $view `[` ($indices^ `:` type($indices))? `]` `,` $value (`,` `mask` $mask^ `:` type($mask))? `clip` $clip attr-dict
    `:` type($view) `,` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

// The result's type is inferred by hand: what ODS generates takes the variadic indices for one operand.
def Tile_ViewAtomicCasOp : Tile_Op<"view_atomic_cas", [MemoryEffects<[MemRead, MemWrite]>, AllTypesMatch<["compare", "value"]>,
    DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "tile.atomic_cas on elements of a view; indices must be in range";
  let arguments = (ins Tile_ViewType:$view, Variadic<Tile_Offset>:$indices, Tile_Any:$compare, Tile_Any:$value);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$view `[` ($indices^ `:` type($indices))? `]` `,` $compare `,` $value attr-dict `:` type($view) `,` type($value)";
  let hasVerifier = 1;
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *, ::std::optional<::mlir::Location>, ::mlir::ValueRange operands,
        ::mlir::DictionaryAttr, ::mlir::OpaqueProperties, ::mlir::RegionRange, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      if (operands.size() < 3) return ::mlir::failure();
      types.push_back(operands.back().getType());
      return ::mlir::success();
    }
  }];
}

// ------------------------------------------------------------------------------------------------------------- elementwise

def Tile_CastOp : Tile_Op<"cast", [Pure, Elementwise, SameOperandsAndResultShape]> {
  let summary = "converts elements to another dtype, fully defined";
  let description = [{
    float to float: nearest even; to f8E4M3FN and f8E5M2 saturating (NaN stays NaN; see the dialect for its bits). float to int: toward zero, saturating, NaN gives 0. int to
    float: nearest even. int to wider int: sign-extends (zero-extends if `unsigned_input`); to narrower: low bits. to i1: != 0.
    i1 to others: 0 or 1. `unsigned_input`/`unsigned_result` mark u8.
  }];
  let arguments = (ins Tile_Any:$value, UnitAttr:$unsigned_input, UnitAttr:$unsigned_result);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$value (`unsigned_input` $unsigned_input^)? (`unsigned_result` $unsigned_result^)? attr-dict `:` type($value) `->` type($result)";
  let hasFolder = 1;
}

def Tile_SigmoidOp : Tile_Op<"sigmoid", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "1/(1+e^-x), approximate";
  let description = [{
    f32: e^-x by ex2.approx.ftz of -x*log2(e) in one rounding, then rcp.approx.ftz: relative error <= 2^-21 + |x|*2^-24 and results below
    2^-126 may flush to 0. f64: accurate (libdevice). Other dtypes are not taken: cast first.
  }];
  let arguments = (ins Tile_Any:$value);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Tile_FastExp2Op : Tile_Op<"fast_exp2", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "2^x by ex2.approx.ftz (f32 only): <= 2 ulp, denormal inputs and results flush to 0";
  let arguments = (ins Tile_Any:$value);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Tile_FastDivOp : Tile_Op<"fast_div", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "a/b by div.approx (f32 only): <= 2 ulp for |b| in [2^-126, 2^126]; arith.divf is exact";
  let arguments = (ins Tile_Any:$lhs, Tile_Any:$rhs);
  let results = (outs Tile_Any:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
  let hasVerifier = 1;
}

// ------------------------------------------------------------------------------------------------------------- across elements

def Tile_ReduceOp : Tile_Op<"reduce", [Pure, SameVariadicOperandSize]> {
  let summary = "combines the elements along an axis with a user's combiner";
  let description = [{
    Over one or several tiles of one shape at once. The region takes the left elements, then the right elements, and yields the combined. Order: a balanced
    binary tree over the index bits, lowest bit first, lower index on the left: ((x0∘x1)∘(x2∘x3))∘…, whatever the layout. The
    axis is dropped; reducing a 1-D tile gives scalars.
  }];
  let arguments = (ins Variadic<Tile_Tile>:$operands, I32Attr:$axis);
  let results = (outs Variadic<Tile_Any>:$results);
  let regions = (region SizedRegion<1>:$combiner);
  let hasVerifier = 1;
}

def Tile_ScanOp : Tile_Op<"scan", [Pure, SameVariadicOperandSize]> {
  let summary = "inclusive scan along an axis with a user's combiner";
  let description = [{
    Order (Sklansky's): at level b = 0, 1, … every element whose index has bit b set becomes `last element of the block of 2^b before its own ∘ itself`.
    `reverse` scans from the end, by reversing the index (lower index is then on the right).
  }];
  let arguments = (ins Variadic<Tile_Tile>:$operands, I32Attr:$axis, UnitAttr:$reverse);
  let results = (outs Variadic<Tile_Tile>:$results);
  let regions = (region SizedRegion<1>:$combiner);
  let hasVerifier = 1;
}

def Tile_SortOp : Tile_Op<"sort", [Pure, SameVariadicOperandSize]> {
  let summary = "stable sort along the last axis by the first operand; the other operands move with it";
  let description = "NaN counts as greater than every number; -0 and +0 are equal. `unsigned_key` orders integer keys as unsigned.";
  let arguments = (ins Variadic<Tile_Tile>:$operands, UnitAttr:$descending, UnitAttr:$unsigned_key);
  let results = (outs Variadic<Tile_Tile>:$results);
  let hasVerifier = 1;
}

def Tile_TopKOp : Tile_Op<"topk", [Pure]> {
  let summary = "the k greatest elements along the last axis, in descending order, with their i32 positions";
  let description = "Equal elements: the lower position first. NaN counts as greatest. k is a power of two, at most the axis's size.";
  let arguments = (ins Tile_Tile:$value, I32Attr:$k);
  let results = (outs Tile_Tile:$values, Tile_Tile:$indices);
  let assemblyFormat = "$value `,` $k attr-dict `:` type($value) `->` type($values) `,` type($indices)";
  let hasVerifier = 1;
}

def Tile_HistogramOp : Tile_Op<"histogram", [Pure]> {
  let summary = "how often each of 0..bins-1 occurs in an i32 tile; other values and masked-off elements are not counted";
  let arguments = (ins RankedTensorOf<[I32]>:$value, Optional<RankedTensorOf<[I1]>>:$mask);
  let results = (outs RankedTensorOf<[I32]>:$result);
  let assemblyFormat = "$value (`,` `mask` $mask^ `:` type($mask))? attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_Op<"dot", [Pure, AllTypesMatch<["acc", "result"]>]> {
  let summary = "matrix product: acc + a[M,K] * b[K,N]";
  let description = [{
    f16, bf16, f8E4M3FN, f8E5M2 with f32 acc (tensor cores; products exact, order of the sum unspecified within a tile, bound: K·2^-23 relative to the sum of
    magnitudes); f32 with f32 acc and f64 with f64 acc: one fma after the other, k ascending, bit-exact.
  }];
  let arguments = (ins Tile_Tile:$a, Tile_Tile:$b, Tile_Tile:$acc);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$a `,` $b `,` $acc attr-dict `:` type($a) `,` type($b) `->` type($acc)";
  let hasVerifier = 1;
}

// ------------------------------------------------------------------------------------------------------------- effects

def Tile_BarrierOp : Tile_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all threads of the program wait; global memory written before is visible after";
  let assemblyFormat = "attr-dict";
}

def Tile_AssertOp : Tile_Op<"assert", [MemoryEffects<[MemWrite]>]> {
  let summary = "device_assert: stops the launch with the message where an element is false";
  let description = [{
    Up to two integers, scalars or tiles of the condition's shape, are printed for `{0}` and `{1}` in the message: those of an element that is false. The
    interpreter and the simulator report the text; a GPU stops the launch without it.
  }];
  let arguments = (ins Tile_Pred:$condition, StrAttr:$message, Variadic<Tile_Offset>:$values);
  let assemblyFormat = "$condition `,` $message (`(` $values^ `:` type($values) `)`)? attr-dict `:` type($condition)";
  let hasVerifier = 1;
}

#endif
