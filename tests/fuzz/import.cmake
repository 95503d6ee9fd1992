# A reader holds a piece of a file, however small that is; a zip unpacks to more than it is.
watra_fuzz_target(import SOURCES ${CMAKE_SOURCE_DIR}/src/home/import_fuzz.cpp LINKS watra_home
  DICT ${CMAKE_CURRENT_SOURCE_DIR}/import.dict MEMORY_FACTOR 0)
