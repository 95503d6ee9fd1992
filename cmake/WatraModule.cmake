# watra_module(NAME [DEPENDS modules...] [LINKS targets...] [EXCLUDE regexes...] [NO_PCH])
#
# One folder of src/ = one static library `watra_NAME`, made of its *.cpp files (one level of subfolders included), and one
# test program `NAME_test` made of its *_test.cpp files. Unit tests sit beside the code.
# What nearly every file includes; compiled once per target, it takes a third off a build from scratch.
set(WATRA_PCH <fmt/format.h> <tl/expected.hpp> <algorithm> <filesystem> <functional> <memory> <span> <string> <unordered_map> <vector>)

function(watra_module name)
  cmake_parse_arguments(ARG "NO_PCH" "" "DEPENDS;LINKS;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  foreach(pattern ${ARG_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX ${pattern})
    list(FILTER tests EXCLUDE REGEX ${pattern})
  endforeach()
  list(TRANSFORM ARG_DEPENDS PREPEND watra_ OUTPUT_VARIABLE depends)

  if(sources)
    add_library(watra_${name} STATIC ${sources})
    target_link_libraries(watra_${name} PUBLIC watra_flags ${depends} ${ARG_LINKS})
    if(NOT ARG_NO_PCH)
      target_precompile_headers(watra_${name} PRIVATE ${WATRA_PCH})
      if("nlohmann_json::nlohmann_json" IN_LIST ARG_LINKS)
        target_precompile_headers(watra_${name} PRIVATE <nlohmann/json.hpp>)
      endif()
    endif()
  else()
    add_library(watra_${name} INTERFACE)
    target_link_libraries(watra_${name} INTERFACE watra_flags ${depends} ${ARG_LINKS})
  endif()

  if(WATRA_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE watra_${name} GTest::gtest_main)
    target_compile_options(${name}_test PRIVATE -O1)
    target_precompile_headers(${name}_test PRIVATE ${WATRA_PCH} <gtest/gtest.h>)
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
      PROPERTIES LABELS unit TIMEOUT 900)
  endif()
endfunction()

# Flags every target shares. No -march=native, no fast-math: an ISA's kernel files get their own flags in src/kernels.
# -ffp-contract=off: a fused multiply-add happens where the code says so and nowhere else (DESIGN section 5, Exactness).
add_library(watra_flags INTERFACE)
target_compile_features(watra_flags INTERFACE cxx_std_20)
target_include_directories(watra_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
target_compile_options(watra_flags INTERFACE -Wall -Wextra -Wshadow=local -Wno-missing-field-initializers -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -ffp-contract=off)
if(WATRA_SANITIZE)
  target_compile_options(watra_flags INTERFACE -fsanitize=${WATRA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(watra_flags INTERFACE -fsanitize=${WATRA_SANITIZE})
endif()
