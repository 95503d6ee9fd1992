# XGrammar's work has limits of its own (text/grammar.h), so what an input may cost is not tied to its length.
watra_fuzz_target(gbnf SOURCES ${CMAKE_SOURCE_DIR}/src/text/gbnf_fuzz.cpp LINKS watra_text
  DICT ${CMAKE_CURRENT_SOURCE_DIR}/gbnf.dict MEMORY_FACTOR 0)
