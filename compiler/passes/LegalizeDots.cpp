// tile-legalize-dots: see Passes.td.
#include "compiler/passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace moec::compiler {
#define GEN_PASS_DEF_TILELEGALIZEDOTS
#include "compiler/passes/Passes.h.inc"
} // namespace moec::compiler

using namespace mlir;

namespace {
struct LegalizeDotsPass : moec::compiler::impl::TileLegalizeDotsBase<LegalizeDotsPass> {
  void runOnOperation() override {
    getOperation().walk([](moec::tile::DotOp dot) {
      OpBuilder b(dot);
      auto toHalf = [&](Value v) -> Value {
        auto type = cast<RankedTensorType>(v.getType());
        if (!isa<Float8E4M3FNType, Float8E5M2Type>(type.getElementType())) return v;
        return moec::tile::CastOp::create(b, dot.getLoc(), type.clone(b.getF16Type()), v, UnitAttr(), UnitAttr());
      };
      dot.getAMutable().assign(toHalf(dot.getA()));
      dot.getBMutable().assign(toHalf(dot.getB()));
    });
  }
};
} // namespace
