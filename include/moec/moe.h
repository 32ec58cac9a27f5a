// The MoE kernel library: ops on tensors, each a kernel that is compiled at first use. <moec/moec.h> is for those who
// write kernels.
#pragma once

#include "kernels/moe.h"
