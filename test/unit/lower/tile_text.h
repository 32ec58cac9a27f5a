// Kernel text of one op on tiles with given layouts: operands loaded row-major from memory, results stored likewise.
#pragma once

#include "compiler/layout/LinearLayout.h"
#include "fmt/format.h"

#include <string>
#include <vector>

namespace moec::compiler {

/// A tile or (empty shape) scalar type of the text.
struct TileType {
  std::string element;
  LinearLayout layout;
  bool scalar = false;

  /// While it lives, types are printed without layouts: the passes are to choose them.
  struct WithoutLayouts {
    WithoutLayouts() { hidden() = true; }
    ~WithoutLayouts() { hidden() = false; }
  };

  std::string text() const { return scalar ? element : tensor(element, layout); }
  static std::string tensor(const std::string &element, const LinearLayout &layout) {
    std::string shape;
    for (int64_t size : layout.shape()) shape += fmt::format("{}x", size);
    if (hidden()) return fmt::format("tensor<{}{}>", shape, element);
    return fmt::format("tensor<{}{}, #tilegpu.linear<\"{}\">>", shape, element, layout.toText());
  }

private:
  static bool &hidden() {
    static bool value = false;
    return value;
  }
};

class KernelText {
public:
  /// Adds a pointer argument; returns its name.
  std::string pointer(const std::string &element) {
    std::string name = fmt::format("%p{}", arguments.size());
    arguments.push_back(fmt::format("{}: !tile.ptr<{}>", name, element));
    return name;
  }
  std::string scalarArgument(const std::string &type) {
    std::string name = fmt::format("%s{}", arguments.size());
    arguments.push_back(fmt::format("{}: {}", name, type));
    return name;
  }
  /// A tile of all elements of a new pointer argument.
  std::string load(const TileType &type) {
    std::string ptr = pointer(type.element), index = indices(type.layout), v = fresh();
    line("{} = tile.load {}[{} : {}] : !tile.ptr<{}> -> {}", v, ptr, index, TileType::tensor("i32", type.layout),
         type.element, type.text());
    return v;
  }
  /// Stores to a new pointer argument.
  void store(const std::string &value, const TileType &type) {
    std::string ptr = pointer(type.element);
    if (type.scalar) {
      std::string zero = fresh();
      line("{} = arith.constant 0 : i32", zero);
      return line("tile.store {}[{} : i32], {} : {} : !tile.ptr<{}>", ptr, zero, value, type.element, type.element);
    }
    std::string index = indices(type.layout);
    line("tile.store {}[{} : {}], {} : {} : !tile.ptr<{}>", ptr, index, TileType::tensor("i32", type.layout), value,
         type.text(), type.element);
  }
  /// Row-major element numbers.
  std::string indices(const LinearLayout &layout) {
    std::string flat = fresh(), index = fresh();
    LinearLayout one = layout.flattenOuts();
    line("{} = tile.arange 0 : {}", flat, TileType::tensor("i32", one));
    line("{} = tile.reshape {} : {} -> {}", index, flat, TileType::tensor("i32", one), TileType::tensor("i32", layout));
    return index;
  }
  template <class... Args> void line(fmt::format_string<Args...> format, Args &&...args) {
    body += "  " + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  std::string fresh() { return fmt::format("%v{}", next++); }

  std::string text() const {
    return fmt::format("tile.kernel @k({}) {{\n{}  tile.return\n}}\n", fmt::join(arguments, ", "), body);
  }

private:
  std::vector<std::string> arguments;
  std::string body;
  int next = 0;
};

} // namespace moec::compiler
