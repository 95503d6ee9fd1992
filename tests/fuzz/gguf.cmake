# 40: an empty nested array takes 12 bytes in the file and some 200 in memory; vectors double.
watra_fuzz_target(gguf SOURCES ${CMAKE_SOURCE_DIR}/src/checkpoint/gguf_fuzz.cpp LINKS watra_checkpoint MEMORY_FACTOR 40)
