# What a schema is made ready of has limits of its own (text/schema_rules.cpp).
watra_fuzz_target(request SOURCES ${CMAKE_SOURCE_DIR}/src/server/request_fuzz.cpp LINKS watra_server
  DICT ${CMAKE_CURRENT_SOURCE_DIR}/request.dict MEMORY_FACTOR 0)
