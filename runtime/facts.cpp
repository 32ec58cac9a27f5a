// What the specialization key knows of a launch's arguments.
#include <fmt/format.h>

#include <limits>

#include "runtime/error.h"
#include "runtime/jit.h"

namespace moec {

namespace {

constexpr int64_t kMostElements = std::numeric_limits<int32_t>::max();

[[noreturn]] void fail(int index, const LaunchArg &arg, std::string wrong, std::string todo) {
  throw UserError(fmt::format("launch with argument {} = {}", index,
                              arg.tensor() ? arg.tensor()->text() : std::string(name(arg.dtype()))),
                  std::move(wrong), std::move(todo));
}

void check_tensor(const LaunchArg &arg, int index, Device device) {
  const Tensor &t = *arg.tensor();
  if (!t.defined()) fail(index, arg, "it has no memory, shape or dtype", "pass a tensor");
  if (!device.can_use(t.device()))
    fail(index, arg, fmt::format("a kernel on {} cannot use memory of {}", device.name(), t.device().name()),
         fmt::format("copy it with to(Device) to {}", device.name()));
}

} // namespace

ArgFacts facts_of(const LaunchArg &arg, rec::Parameter parameter, int index, Device device) {
  ArgFacts f;
  f.dtype = arg.dtype();
  if (!arg.tensor()) {
    f.kind = ArgFacts::Kind::scalar;
    f.align = static_cast<uint8_t>(size_bytes(f.dtype));
    return f;
  }
  check_tensor(arg, index, device);
  const Tensor &t = *arg.tensor();
  const int width = size_bytes(f.dtype);
  f.align = static_cast<uint8_t>(reinterpret_cast<uintptr_t>(t.data()) % 16 == 0 ? 16 : width);
  if (parameter == rec::Parameter::pointer) {
    f.kind = ArgFacts::Kind::pointer;
    return f;
  }
  f.kind = ArgFacts::Kind::view;
  if (t.rank() > ArgFacts::kMaxRank)
    fail(index, arg, fmt::format("it has {} dimensions", t.rank()),
         fmt::format("a view has at most {}; reshape it", ArgFacts::kMaxRank));
  f.rank = static_cast<uint8_t>(t.rank());
  f.wide = t.extent_bytes() > kMostElements;
  f.packed = t.strides() == row_major(t.shape());
  for (int i = 0; i < t.rank(); ++i) {
    auto d = static_cast<size_t>(i);
    if (t.shape()[i] > kMostElements)
      fail(index, arg, fmt::format("dimension {} has more than 2^31-1 elements", i), "reshape it to more dimensions");
    f.size_divisors[d] = t.shape()[i] % 16 == 0 ? 16 : 1;
    int64_t stride = t.strides()[i];
    f.stride_divisors[d] = stride == 1 ? 0 : stride * width % 16 == 0 ? 16 / width : 1;
  }
  return f;
}

} // namespace moec
