# plans/demo as embedded_demo[], in embedded_demo.h. For `phasegate demo`, which needs nothing but the binary.
file(GLOB_RECURSE demo_files RELATIVE ${CMAKE_SOURCE_DIR}/plans/demo CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/plans/demo/*.yaml ${CMAKE_SOURCE_DIR}/plans/demo/*.sql)
list(SORT demo_files)
set(demo_depends ${demo_files})
list(TRANSFORM demo_depends PREPEND ${CMAKE_SOURCE_DIR}/plans/demo/)
set(demo_out ${PHASEGATE_GENERATED}/demo)
file(CONFIGURE OUTPUT ${demo_out}/files.cmake CONTENT [[set(ROOT "@CMAKE_SOURCE_DIR@/plans/demo")
set(FILES "@demo_files@")
]] @ONLY)
add_custom_command(
  OUTPUT ${demo_out}/embedded_demo.h ${demo_out}/embedded_demo.c
  COMMAND ${CMAKE_COMMAND} -DLISTS=${demo_out}/files.cmake -DOUT=${demo_out}/embedded_demo
          -P ${CMAKE_SOURCE_DIR}/cmake/write_demo.cmake
  DEPENDS ${demo_depends} ${demo_out}/files.cmake ${CMAKE_SOURCE_DIR}/cmake/write_demo.cmake
  COMMENT "Embedding plans/demo" VERBATIM)
add_library(pg_demo_files STATIC ${demo_out}/embedded_demo.c ${demo_out}/embedded_demo.h)
target_include_directories(pg_demo_files PUBLIC ${demo_out})
target_link_libraries(pg_demo_files PRIVATE pg_flags)
