// The ranks over which the experts of a layer are spread.
#pragma once

namespace moec {

/// One rank's view of the group that shares a layer's experts: rank r of R owns experts r*E/R to (r+1)*E/R - 1. A layer
/// asks it where tokens come from (all-gather, all-to-all dispatch) before its rows are computed, and how rows come
/// back (all-reduce, all-to-all combine) after; what is between is the same for any R. So far moec has the group of
/// one.
class Communicator {
public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
};

/// The group of one rank: nothing is exchanged.
class SingleRank final : public Communicator {
public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
};

} // namespace moec
