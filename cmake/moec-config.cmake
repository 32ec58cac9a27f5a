# The bundle's CMake package: moec::moec, what a program of one's own links. find_package(moec) with the bundle in CMAKE_PREFIX_PATH.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(moec_bundle "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET moec::moec)
  add_library(moec::moec STATIC IMPORTED)
  set_target_properties(moec::moec PROPERTIES IMPORTED_LOCATION "${moec_bundle}/lib/libmoec.a")
  target_include_directories(moec::moec INTERFACE "${moec_bundle}/include")
  target_compile_features(moec::moec INTERFACE cxx_std_20)
  target_link_libraries(moec::moec INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
  target_link_options(moec::moec INTERFACE "-Wl,-rpath,${moec_bundle}/lib") # where libmoec_compiler.so is found
endif()
