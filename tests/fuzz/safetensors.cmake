watra_fuzz_target(safetensors SOURCES ${CMAKE_SOURCE_DIR}/src/checkpoint/safetensors_fuzz.cpp LINKS watra_checkpoint
  DICT ${CMAKE_CURRENT_SOURCE_DIR}/safetensors.dict MEMORY_FACTOR 40)
