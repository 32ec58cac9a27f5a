#include "kernels/specializations.h"

#include "kernels/kernel_table.h"
#include "kernels/registration.h"

namespace moec {

std::span<const SpecializationRow> specializations() { return library().specializations; }

Schedule schedule_of(const SpecializationRow &row) {
  Schedule s = kernel_at(row.kernel).schedule;
  if (row.num_warps) s.num_warps = row.num_warps;
  if (row.num_stages) s.num_stages = row.num_stages;
  return s;
}

} // namespace moec
