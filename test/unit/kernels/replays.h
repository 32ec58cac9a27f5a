// Ops in a graph: nothing in them waits for the device or depends on values on the host.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "places.h"
#include "runtime/graph.h"
#include "runtime/tensor.h"

namespace moec {

using Tensors = std::vector<Tensor>;
using Work = std::function<Tensors(const Stream &, const Tensors &)>;

/// Captures `work` on inputs, replaces these by others of the same shapes, replays, and compares bits with a plain
/// call, on test_device().
inline void expect_replays(const Work &work, const std::function<Tensors()> &inputs) {
  const Device device = test_device();
  const Stream stream = Stream::create(device);
  Tensors in, other = inputs(), out;
  for (const Tensor &t : inputs()) in.push_back(t.to(device));
  Graph graph = Graph::capture(stream, [&] { out = work(stream, in); });
  for (size_t i = 0; i < in.size(); ++i) in[i].copy_from(other[i]);
  graph.launch(stream);
  stream.synchronize();
  Tensors expected = work(stream, in);
  stream.synchronize();
  ASSERT_EQ(out.size(), expected.size());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].to_bytes(), expected[i].to_bytes()) << "output " << i;
}

} // namespace moec
