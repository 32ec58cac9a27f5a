// What the tools register: our dialects with those that they are used with, and our passes.
#pragma once

namespace mlir {
class DialectRegistry;
}

namespace moec::compiler {
void registerDialects(mlir::DialectRegistry &registry);
void registerPasses();
} // namespace moec::compiler
