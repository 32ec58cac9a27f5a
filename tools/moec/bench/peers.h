// What others need for the same work, in the same run: cuBLAS, and PyTorch and Triton where Python can import them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/moec/bench/cases.h"

namespace moec::bench {

/// Median seconds of a peer for a case, by the peer's name ("cublas", "torch", "triton").
using PeerSeconds = std::map<std::string, double>;

/// cuBLAS for the products of grouped_mm's cases, one call per expert with rows (the host knows the counts, which
/// moec's kernel reads on the device). Nothing where there is no cuBLAS or the case is another.
std::optional<double> cublas_seconds(const Case &c, Device device);

/// PyTorch's and Triton's times for all cases on `device`, in one Python process; one map per case. `python`: the
/// interpreter.
/// Empty maps, and why in `reason`, where it does not start or cannot import torch.
std::vector<PeerSeconds> python_seconds(const std::vector<Case> &cases, Device device, const std::string &python,
                                        std::string &reason);

} // namespace moec::bench
