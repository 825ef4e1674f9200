# The libraries, from the system. A missing one names its Debian package.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(need name module package)
  pkg_check_modules(${name} IMPORTED_TARGET GLOBAL ${module})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${module} not found: apt-get install ${package}")
  endif()
endfunction()

need(YAML yaml-0.1 libyaml-dev)
need(LIBPQ libpq libpq-dev)
need(CURL libcurl libcurl4-openssl-dev)
need(CRYPTO libcrypto libssl-dev)
need(JANSSON jansson libjansson-dev)
need(ZSTD libzstd libzstd-dev)
need(EXPAT expat libexpat1-dev)
need(MICROHTTPD libmicrohttpd libmicrohttpd-dev)
need(XXHASH libxxhash libxxhash-dev) # its header: the function is compiled in
if(PHASEGATE_TESTS)
  need(CMOCKA cmocka libcmocka-dev)
endif()

# libpg_query has no pkg-config file. The archive first: it saves a start the relocations of a
# library of megabytes.
find_path(PG_QUERY_INCLUDE pg_query.h)
find_library(PG_QUERY_LIBRARY NAMES libpg_query.a pg_query)
if(NOT PG_QUERY_INCLUDE OR NOT PG_QUERY_LIBRARY)
  message(FATAL_ERROR "libpg_query not found: apt-get install libpg-query-dev")
endif()
add_library(pg_query UNKNOWN IMPORTED GLOBAL)
set_target_properties(pg_query PROPERTIES
  IMPORTED_LOCATION ${PG_QUERY_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${PG_QUERY_INCLUDE}
  INTERFACE_LINK_LIBRARIES "Threads::Threads;m")

# The archive of libarchive too: only what reads tar is taken from it, where the shared one brings a dozen libraries
# along.
need(ARCHIVE libarchive libarchive-dev)
find_library(ARCHIVE_LIBRARY NAMES libarchive.a archive HINTS ${ARCHIVE_LIBRARY_DIRS})
add_library(archive UNKNOWN IMPORTED GLOBAL)
set_target_properties(archive PROPERTIES
  IMPORTED_LOCATION ${ARCHIVE_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES "${ARCHIVE_INCLUDE_DIRS}")
