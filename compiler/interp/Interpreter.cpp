#include "compiler/interp/Machine.h"

#include <cstring>

using namespace mlir;

namespace moec::compiler {

using namespace interp;

namespace {

/// Takes the launch's parameters one by one.
class ParameterReader {
public:
  explicit ParameterReader(ArrayRef<void *> params) : params(params) {}

  Bits next(Type type) {
    Bits bits = 0;
    if (taken < params.size()) std::memcpy(&bits, params[taken], bytesOf(type));
    ++taken;
    return type.isInteger(1) ? bits & 1 : bits;
  }
  bool exact() const { return taken == params.size(); }
  size_t count() const { return taken; }

private:
  ArrayRef<void *> params;
  size_t taken = 0;
};

Value readView(tile::ViewType type, ParameterReader &reader, Builder &b) {
  auto view = std::make_shared<View>();
  view->base = reader.next(b.getI64Type());
  Type offset = type.getOffsetType();
  for (int64_t d = 0; d < type.getRank(); ++d)
    view->sizes.push_back(signedOf(b.getI32Type(), reader.next(b.getI32Type())));
  for (int64_t d = 0; d < type.getRank(); ++d)
    view->strides.push_back(type.isUnitStride(d) ? 1 : signedOf(offset, reader.next(offset)));
  return {type, nullptr, std::move(view), nullptr};
}

bool bindArguments(Machine &m, tile::KernelOp kernel) {
  ParameterReader reader(m.options.params);
  Builder b(kernel.getContext());
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    Type type = argument.getType();
    if (auto view = dyn_cast<tile::ViewType>(type))
      m.set(argument, readView(view, reader, b));
    else
      m.set(argument, makeValue(type, {reader.next(type)}));
  }
  if (reader.exact()) return true;
  m.finding(kernel, "the kernel has " + Twine(reader.count()) + " parameters, the launch gives " +
                        Twine(m.options.params.size()));
  return false;
}

void runGrid(Machine &m, tile::KernelOp kernel) {
  auto [nx, ny, nz] = m.options.grid;
  for (int32_t z = 0; z < nz; ++z)
    for (int32_t y = 0; y < ny; ++y)
      for (int32_t x = 0; x < nx; ++x) {
        m.beginProgram({x, y, z});
        m.run(kernel.getBody().front());
        if (m.stopped()) return;
      }
}

} // namespace

std::vector<Finding> interpret(ModuleOp module, const InterpretOptions &options) {
  auto kernels = llvm::to_vector(module.getOps<tile::KernelOp>());
  if (kernels.size() != 1)
    return {{module.getLoc(), "a module to interpret has one tile.kernel, this has " + std::to_string(kernels.size())}};
  Table table(module.getContext());
  for (auto *add : {registerControl, registerShape, registerInteger, registerFloat, registerCast, registerMath,
                    registerView, registerMemory, registerCombine, registerSort, registerDot, registerGpu})
    add(table);
  Machine m(table, options);
  if (bindArguments(m, kernels.front())) runGrid(m, kernels.front());
  return m.takeFindings();
}

} // namespace moec::compiler
