# One target a layer, from src/<layer>/*.c. What a layer may include is tests/arch/test_arch.py's to say.

# A layer without any .c yet is an INTERFACE library, so that the others can name it all the same.
set(phasegate_layers "")
function(layer name)
  set(target pg_${name})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
  list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/cli/main.c)
  if(sources)
    add_library(${target} STATIC ${sources})
    set(how PUBLIC)
    add_dependencies(${target} pg_version)
    set(phasegate_layers ${phasegate_layers} ${target} PARENT_SCOPE)
  else()
    add_library(${target} INTERFACE)
    set(how INTERFACE)
  endif()
  target_include_directories(${target} ${how} ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
                             ${PHASEGATE_GENERATED})
  target_link_libraries(${target} ${how} pg_flags ${ARGN})
endfunction()

layer(base)
layer(core pg_base m)
layer(load pg_core PkgConfig::YAML pg_query PkgConfig::CRYPTO PkgConfig::JANSSON)
layer(io pg_core pg_sql archive PkgConfig::LIBPQ PkgConfig::CURL PkgConfig::CRYPTO PkgConfig::JANSSON Threads::Threads)
layer(ledger pg_core pg_sql PkgConfig::JANSSON)
layer(provider pg_core PkgConfig::CRYPTO PkgConfig::JANSSON)
layer(backfill pg_ledger pg_core pg_sql PkgConfig::JANSSON Threads::Threads)
layer(snapshot pg_ledger pg_core pg_sql PkgConfig::ZSTD PkgConfig::EXPAT PkgConfig::CRYPTO PkgConfig::JANSSON)
layer(engine pg_snapshot pg_backfill pg_ledger pg_core pg_sql PkgConfig::JANSSON)
layer(out pg_core)
layer(serve pg_engine pg_out PkgConfig::MICROHTTPD PkgConfig::JANSSON PkgConfig::CRYPTO Threads::Threads)
layer(shadow pg_io pg_load pg_sql PkgConfig::LIBPQ PkgConfig::JANSSON Threads::Threads)
layer(check pg_shadow pg_load pg_sql PkgConfig::JANSSON)
layer(demo pg_shadow pg_demo_files pg_serve pg_out pg_engine pg_provider pg_ledger pg_io pg_load)
layer(rehearse pg_check pg_shadow pg_engine pg_provider pg_ledger pg_io pg_load pg_sql PkgConfig::JANSSON)
layer(cli pg_schemas pg_demo pg_rehearse pg_check pg_shadow pg_serve pg_out pg_engine pg_provider pg_ledger pg_io pg_load)

# Everything, as the program and the tests link it: one archive, so that the order of archives is no design and
# the libraries of the system come behind it.
set(phasegate_objects "")
foreach(target ${phasegate_layers})
  list(APPEND phasegate_objects $<TARGET_OBJECTS:${target}>)
endforeach()
add_library(pg_all STATIC ${phasegate_objects} $<TARGET_OBJECTS:pg_sql> $<TARGET_OBJECTS:pg_schemas>
            $<TARGET_OBJECTS:pg_demo_files>)
target_include_directories(pg_all PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${PHASEGATE_GENERATED})
target_link_libraries(pg_all PUBLIC pg_flags PkgConfig::YAML pg_query archive PkgConfig::LIBPQ PkgConfig::CURL
                      PkgConfig::MICROHTTPD PkgConfig::JANSSON PkgConfig::CRYPTO PkgConfig::ZSTD PkgConfig::EXPAT Threads::Threads m)
set_target_properties(pg_all PROPERTIES OUTPUT_NAME phasegate)
