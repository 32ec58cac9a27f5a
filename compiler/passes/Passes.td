// One entry per pass: name, flag, what it does. The order in which they run is in compiler/pipeline.cpp.
#ifndef MOEC_PASSES
#define MOEC_PASSES

include "mlir/Pass/PassBase.td"

#endif
