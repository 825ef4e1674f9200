# pg_sql: src/sql/<name>.sql as sql_<name>[], src/sql/schema/NNNN_<name>.sql as schema_files[], declared in
# sql_embedded.h.
file(GLOB sql_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/sql/*.sql)
file(GLOB sql_schema CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/sql/schema/[0-9]*.sql)
list(SORT sql_files)
list(SORT sql_schema)

set(sql_out ${PHASEGATE_GENERATED}/sql)
# The lists go through a file: a command line would end at some number of statements.
file(CONFIGURE OUTPUT ${sql_out}/files.cmake CONTENT [[set(FILES "@sql_files@")
set(SCHEMA "@sql_schema@")
]] @ONLY)

add_custom_command(
  OUTPUT ${sql_out}/sql_embedded.h ${sql_out}/sql_embedded.c
  COMMAND ${CMAKE_COMMAND} -DLISTS=${sql_out}/files.cmake -DOUT=${sql_out}/sql_embedded
          -P ${CMAKE_SOURCE_DIR}/cmake/write_sql.cmake
  DEPENDS ${sql_files} ${sql_schema} ${sql_out}/files.cmake ${CMAKE_SOURCE_DIR}/cmake/write_sql.cmake
  COMMENT "Embedding src/sql" VERBATIM)
add_library(pg_sql STATIC ${sql_out}/sql_embedded.c ${sql_out}/sql_embedded.h)
target_include_directories(pg_sql PUBLIC ${sql_out})
target_link_libraries(pg_sql PRIVATE pg_flags)
