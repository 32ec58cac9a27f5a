// A test kit for kernels of your own, for use from GoogleTest or any other framework: docs/testing.md.
#pragma once

#include "runtime/testing.h"
