#include "compiler/Register.h"

#include "compiler/ir/TileGpu.h"
#include "compiler/passes/Passes.h"
#include "compiler/pipeline.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/DLTI/DLTI.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Transforms/Passes.h"

void moec::compiler::registerDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::scf::SCFDialect, mlir::func::FuncDialect,
                  mlir::cf::ControlFlowDialect, mlir::LLVM::LLVMDialect, mlir::NVVM::NVVMDialect, mlir::DLTIDialect,
                  mlir::ub::UBDialect, moec::tile::TileDialect, moec::tilegpu::TileGpuDialect>();
}

void moec::compiler::registerPasses() {
  registerMoecPasses();
  registerPipelines();
  mlir::registerCSEPass();
  mlir::registerCanonicalizerPass();
  mlir::registerLoopInvariantCodeMotionPass();
}
