# One folder, one library, one namespace. The functions in this file are the
# only places where compile options are set.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")  # Line tables: a crash names its line.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(APM_CHAOS_BIN_DIR "${CMAKE_BINARY_DIR}/chaos/bin")

function(apm_set_build_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Werror
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
  if(APM_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=${APM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${APM_SANITIZE})
  endif()
  if(APM_FUZZ)
    target_compile_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
    target_link_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# apm_library(ipc SOURCES a.cc a.h PUBLIC_DEPS apm::base PRIVATE_DEPS ...)
# Defines apm_ipc, used as apm::ipc. A dependency is PUBLIC when one of the
# library's headers includes it, PRIVATE when only a .cc file does.
function(apm_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC_DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(apm_${name} STATIC ${ARG_SOURCES})
  add_library(apm::${name} ALIAS apm_${name})
  set_target_properties(apm_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(apm_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(apm_${name} PUBLIC ${ARG_PUBLIC_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  apm_set_build_options(apm_${name})
endfunction()

# apm_program(apm-agent SOURCES main.cc DEPS apm::agent) builds bin/apm-agent.
# STATIC links it without any shared library.
function(apm_program name)
  cmake_parse_arguments(ARG "STATIC" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  apm_set_build_options(${name})
  set_property(GLOBAL APPEND PROPERTY APM_PROGRAMS ${name})
  if(ARG_STATIC AND NOT APM_SANITIZE)
    # Unused sections go, of libstdc++ above all: a fifth of the program.
    target_link_options(${name} PRIVATE -static -Wl,--gc-sections)
  endif()
endfunction()

# apm_chaos_variant(apm-agent) links the program's objects once more, into
# chaos/bin/apm-agent, in which the fault points act (base/fault/fault.h).
function(apm_chaos_variant name)
  add_executable(${name}-chaos $<TARGET_OBJECTS:${name}>)
  set_target_properties(${name}-chaos PROPERTIES
    APM_FAULTS ON
    LINKER_LANGUAGE CXX
    OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY "${APM_CHAOS_BIN_DIR}")
  get_target_property(deps ${name} LINK_LIBRARIES)
  target_link_libraries(${name}-chaos PRIVATE ${deps})
  get_target_property(options ${name} LINK_OPTIONS)
  if(options)
    target_link_options(${name}-chaos PRIVATE ${options})
  endif()
endfunction()

# apm_test(frame_codec_test DEPS apm::ipc) builds frame_codec_test.cc with gmock.
function(apm_test name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${name} ${name}.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE APM_SOURCE_DIR="${PROJECT_SOURCE_DIR}" APM_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  apm_set_build_options(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 60)
endfunction()

# apm_fuzz(http1_request_fuzz DEPS apm::proxy_http1) builds http1_request_fuzz.cc
# where APM_FUZZ is on. Seeds lie in tests/fuzz/corpus/<name without _fuzz>/.
function(apm_fuzz name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  if(NOT APM_FUZZ)
    return()
  endif()
  add_executable(${name} ${name}.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  apm_set_build_options(${name})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
