# The interpreter has limits of its own, so what an input may cost is not tied to its length.
watra_fuzz_target(chat_template SOURCES ${CMAKE_SOURCE_DIR}/src/text/chat_template_fuzz.cpp LINKS watra_text
  DICT ${CMAKE_CURRENT_SOURCE_DIR}/chat_template.dict MEMORY_FACTOR 0)
