# ccache, where it is installed (`make test` brings it) and nobody has named another launcher: a second build from scratch, of another
# clone too, compiles only what differs. Paths count relative to the source tree; precompiled headers are cached like objects.
find_program(WATRA_CCACHE ccache)
if(WATRA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${WATRA_CCACHE})
endif()
