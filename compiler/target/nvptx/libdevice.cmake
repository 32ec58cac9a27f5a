# The part of NVIDIA's libdevice that kernels can call, cut out and pre-reflected at build time (ftz off, precise sqrt and division):
# linking it then costs 1 ms of a compile instead of 30.
set(MOEC_LIBDEVICE_FUNCTIONS
  expf exp exp2f exp2 exp10f exp10 expm1f expm1 logf log log2f log2 log10f log10 log1pf log1p tanhf tanh erff erf erfcf erfc
  sqrtf sqrt rsqrtf rsqrt sinf sin cosf cos tanf tan fmaf fma powf pow floorf floor ceilf ceil truncf trunc rintf rint roundf round
  fabsf fabs fmodf fmod fminf fmin fmaxf fmax sinhf sinh coshf cosh asinf asin acosf acos atanf atan atan2f atan2
  cbrtf cbrt copysignf copysign hypotf hypot)

# moec_libdevice_subset(<source file>): embeds the subset in that source file of the current folder.
function(moec_libdevice_subset source)
  if(NOT MOEC_LIBDEVICE)
    message(STATUS "libdevice: none; kernels that call exp, log, tanh, … of libdevice will not compile")
    return()
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/libdevice)
  set(subset ${folder}/subset.bc)
  set(functions)
  foreach(f ${MOEC_LIBDEVICE_FUNCTIONS})
    list(APPEND functions --func=__nv_${f})
  endforeach()
  # --keep-const-init: without it the reflection's keys lose their text. The table that sinf's slow path reads is not
  # constant in libdevice and has to be named.
  add_custom_command(OUTPUT ${subset}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-extract --keep-const-init --recursive ${functions} --glob=__cudart_i2opi_f
            ${MOEC_LIBDEVICE} -o ${folder}/extracted.bc
    COMMAND ${LLVM_TOOLS_BINARY_DIR}/opt -mtriple=nvptx64-nvidia-cuda -mcpu=sm_80 --nvvm-reflect-add=__CUDA_FTZ=0
            --nvvm-reflect-add=__CUDA_PREC_SQRT=1 --nvvm-reflect-add=__CUDA_PREC_DIV=1 --nvvm-reflect-add=__CUDA_ARCH=800
            "-passes=nvvm-reflect,always-inline,function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg),globaldce,strip-dead-prototypes,strip"
            ${folder}/extracted.bc -o ${subset}
    DEPENDS ${MOEC_LIBDEVICE} VERBATIM)
  set_source_files_properties(${source} PROPERTIES
    COMPILE_DEFINITIONS MOEC_LIBDEVICE_SUBSET="${subset}" OBJECT_DEPENDS ${subset})
endfunction()
