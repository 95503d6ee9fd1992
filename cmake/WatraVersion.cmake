# Writes generated/watra_version.h with the version and the commit, again whenever HEAD moves, and generated/source_folder.h.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} describe --always --dirty --abbrev=10
  OUTPUT_VARIABLE WATRA_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT WATRA_COMMIT)
  set(WATRA_COMMIT "unknown")
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
endif()
configure_file(${CMAKE_SOURCE_DIR}/cmake/watra_version.h.in ${CMAKE_BINARY_DIR}/generated/watra_version.h @ONLY)
configure_file(${CMAKE_SOURCE_DIR}/cmake/source_folder.h.in ${CMAKE_BINARY_DIR}/generated/source_folder.h @ONLY)
