# Every find_package of the project. Packages come from the distribution:
# tools/packages.txt is the list.

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)  # Module mode: Debian ships no config file.
find_package(spdlog CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
find_package(nlohmann_json CONFIG REQUIRED)
if(NOT APM_PURE_ONLY)
  find_package(gRPC CONFIG REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
endif()
if(APM_BUILD_TESTS)
  find_package(GTest CONFIG REQUIRED)
  set(Python3_EXECUTABLE /usr/bin/python3)  # The tests need the distribution's packages.
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()

# Debian's config files name the shared libraries; the archives beside them
# start four times faster (a cold `apmctl list`: 16 ms against 4 ms), and the
# keeper must not load any library at all. OpenSSL, SQLite and zlib stay shared
# in the other programs: their security fixes arrive by apt alone.
get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported)
  if(NOT target MATCHES "^(absl|gRPC|re2|c-ares)::")
    continue()
  endif()
  get_target_property(kind ${target} TYPE)
  if(NOT kind STREQUAL "SHARED_LIBRARY")
    continue()
  endif()
  get_target_property(shared ${target} IMPORTED_LOCATION_NONE)
  string(REGEX REPLACE "\\.so(\\.[0-9]+)*$" ".a" archive "${shared}")
  if(EXISTS "${archive}")
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_NONE "${archive}")
  endif()
endforeach()

find_program(APM_CCACHE ccache)
if(APM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${APM_CCACHE}")
endif()
