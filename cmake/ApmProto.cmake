# apm_proto(internal_proto LITE PROTOS a.proto) -> apm::internal_proto
# apm_proto(v1_proto GRPC PROTOS b.proto)       -> apm::v1_proto, with services
#
# A program links the lite or the full protobuf runtime, never both: a LITE
# library names no runtime in its link interface as the full runtime contains
# the lite one; the program does (apm_protobuf_lite, apm_protobuf_full). A GRPC
# library names no gRPC: its user links grpc++, or grpc++_unsecure without TLS.
function(apm_proto name)
  cmake_parse_arguments(ARG "LITE;GRPC" "" "PROTOS" ${ARGN})
  add_library(apm_${name} STATIC ${ARG_PROTOS})
  add_library(apm::${name} ALIAS apm_${name})
  set(out "${PROJECT_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  protobuf_generate(TARGET apm_${name} LANGUAGE cpp
    IMPORT_DIRS "${PROJECT_SOURCE_DIR}/proto" PROTOC_OUT_DIR "${out}")
  if(ARG_GRPC)
    protobuf_generate(TARGET apm_${name} LANGUAGE grpc
      GENERATE_EXTENSIONS .grpc.pb.h .grpc.pb.cc
      PLUGIN "protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>"
      IMPORT_DIRS "${PROJECT_SOURCE_DIR}/proto" PROTOC_OUT_DIR "${out}")
  endif()
  target_include_directories(apm_${name} SYSTEM PUBLIC "${out}" ${Protobuf_INCLUDE_DIRS})
  target_compile_options(apm_${name} PRIVATE -w)
  if(APM_SANITIZE)
    target_compile_options(apm_${name} PUBLIC -fsanitize=${APM_SANITIZE})
  endif()
endfunction()
