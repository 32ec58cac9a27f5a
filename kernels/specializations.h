// The committed specializations, each beside its kernel (Library::add_specializations): what tests compile for every
// target, what contracts and benchmarks use.
#pragma once

#include <span>
#include <string_view>

#include "runtime/jit.h"

namespace moec {

/// One specialization of a library kernel.
struct SpecializationRow {
  std::string_view kernel;           ///< name in kernel_table.h
  std::string_view settings;         ///< "topk=8,experts=128,dtype=bf16"; what is not named keeps its default
  std::string_view where;            ///< the model or test that has these sizes
  int num_warps = 0, num_stages = 0; ///< where the library's schedule is not the kernel's default
};

std::span<const SpecializationRow> specializations();
/// The schedule with which the library runs the row's kernel.
Schedule schedule_of(const SpecializationRow &row);

} // namespace moec
