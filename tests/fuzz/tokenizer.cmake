# A text that is one word costs a heap and a list over all its bytes; ids are four bytes each.
watra_fuzz_target(tokenizer SOURCES ${CMAKE_SOURCE_DIR}/src/text/tokenizer_fuzz.cpp LINKS watra_text MEMORY_FACTOR 0)
