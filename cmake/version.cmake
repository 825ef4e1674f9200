# pg_version: phasegate_build.h with PHASEGATE_COMMIT, the short hash of the commit or "".
# Looked up in every build, written only when it changed.
set(PHASEGATE_GENERATED ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${PHASEGATE_GENERATED})
add_custom_target(pg_version
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR}
          -DOUT=${PHASEGATE_GENERATED}/phasegate_build.h -P ${CMAKE_SOURCE_DIR}/cmake/write_version.cmake
  BYPRODUCTS ${PHASEGATE_GENERATED}/phasegate_build.h
  COMMENT "" VERBATIM)
# Once now, so that the header is there for a file that is compiled before the target has run.
execute_process(COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUT=${PHASEGATE_GENERATED}/phasegate_build.h
                        -P ${CMAKE_SOURCE_DIR}/cmake/write_version.cmake COMMAND_ERROR_IS_FATAL ANY)
