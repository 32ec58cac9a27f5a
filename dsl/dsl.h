// The embedded DSL: everything a kernel needs. docs/dsl.md is the tutorial.
#pragma once

#include "dsl/dtype.h"
#include "dsl/error.h"
#include "dsl/kernel.h"
#include "dsl/loops.h"
#include "dsl/ops.h"
#include "dsl/recording.h"
#include "dsl/value.h"
#include "dsl/view.h"
