# docs/<name>.schema.json as embedded_schemas[], in embedded_schemas.h. For `phasegate show schema`.
file(GLOB schema_docs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.schema.json)
list(SORT schema_docs)
set(schemas_out ${PHASEGATE_GENERATED}/schemas)
file(CONFIGURE OUTPUT ${schemas_out}/files.cmake CONTENT [[set(FILES "@schema_docs@")
]] @ONLY)
add_custom_command(
  OUTPUT ${schemas_out}/embedded_schemas.h ${schemas_out}/embedded_schemas.c
  COMMAND ${CMAKE_COMMAND} -DLISTS=${schemas_out}/files.cmake -DOUT=${schemas_out}/embedded_schemas
          -P ${CMAKE_SOURCE_DIR}/cmake/write_schemas.cmake
  DEPENDS ${schema_docs} ${schemas_out}/files.cmake ${CMAKE_SOURCE_DIR}/cmake/write_schemas.cmake
  COMMENT "Embedding docs/*.schema.json" VERBATIM)
add_library(pg_schemas STATIC ${schemas_out}/embedded_schemas.c ${schemas_out}/embedded_schemas.h)
target_include_directories(pg_schemas PUBLIC ${schemas_out})
target_link_libraries(pg_schemas PRIVATE pg_flags)
