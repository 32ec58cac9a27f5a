// moec-opt: mlir-opt with moec's dialects and passes, for lit tests.
#include "compiler/Register.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::compiler::registerDialects(registry);
  moec::compiler::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "moec's optimizer driver\n", registry));
}
