// Stands in for the C library's file functions in this program, and lets the n-th of them fail as network file systems
// do.
#pragma once

namespace moec::testing {

/// From now on call number `nth` (0: the next) fails with `error`; with `sticky`, all after it too.
void fail_disk_call(int nth, int error, bool sticky);
/// No more failures; returns how many calls were made since fail_disk_call.
int heal_disk();

} // namespace moec::testing
