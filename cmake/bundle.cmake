# MOEC_BUNDLE: programs that need nothing but glibc. fmt has no archive on Debian, so it is compiled here from its headers.
if(MOEC_BUNDLE)
  add_library(moec_fmt STATIC ${CMAKE_SOURCE_DIR}/cmake/fmt_static.cpp)
  target_compile_definitions(moec_fmt PUBLIC FMT_SHARED) # as Debian's library, so that the objects are those of the dev build
  add_library(fmt::fmt ALIAS moec_fmt)
  set(CMAKE_SKIP_RPATH ON) # libmoec_compiler.so is found beside the programs or in ../lib
else()
  find_package(fmt REQUIRED)
endif()
