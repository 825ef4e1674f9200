# cmake -DLISTS=files.cmake -DOUT=path/sql_embedded -P write_sql.cmake
cmake_policy(VERSION 3.25)
include(${LISTS})

# The text of a file as a C literal, a line each, without the comment lines that it starts with.
function(c_literal path out)
  file(READ ${path} text)
  string(REGEX REPLACE "^([ \t\r]*(--[^\n]*)?\n)+" "" text "${text}")
  string(REGEX REPLACE "[ \t\r\n]+$" "" text "${text}")
  if(text STREQUAL "")
    message(FATAL_ERROR "${path}: no statement in it")
  endif()
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "?" "\\?" text "${text}") # no trigraphs
  string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
  set(${out} "\n    \"${text}\"" PARENT_SCOPE)
endfunction()

set(h [[/* generated from src/sql by cmake/write_sql.cmake */
#ifndef PHASEGATE_SQL_EMBEDDED_H
#define PHASEGATE_SQL_EMBEDDED_H

/* The tables of phasegate itself, in the order in which they are applied. One more row, all zero, ends it. */
struct schema_file {
    int number;
    const char *name; /* without number and suffix */
    const char *text;
};
extern const struct schema_file schema_files[];
extern const int schema_files_n;

]])
set(c "/* generated from src/sql by cmake/write_sql.cmake */\n#include \"sql_embedded.h\"\n\n")

foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME_WE)
  if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "${path}: a statement's file is called <verb>_<noun>.sql in lower case")
  endif()
  c_literal(${path} literal)
  string(APPEND h "extern const char sql_${name}[];\n")
  string(APPEND c "const char sql_${name}[] =${literal};\n\n")
endforeach()

string(APPEND c "const struct schema_file schema_files[] = {\n")
set(n 0)
foreach(path IN LISTS SCHEMA)
  get_filename_component(base ${path} NAME_WE)
  if(NOT base MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
    message(FATAL_ERROR "${path}: a schema file is called NNNN_<name>.sql")
  endif()
  set(digits ${CMAKE_MATCH_1})
  set(name ${CMAKE_MATCH_2})
  math(EXPR n "${n} + 1")
  math(EXPR number "1${digits} - 10000")
  if(NOT number EQUAL n)
    message(FATAL_ERROR "${path}: expected number ${n}, schema files are numbered without gaps from 0001")
  endif()
  c_literal(${path} literal)
  string(APPEND c "    {${number}, \"${name}\",${literal}},\n")
endforeach()
string(APPEND c "    {0},\n};\nconst int schema_files_n = ${n};\n")
string(APPEND h "\n#endif\n")

file(WRITE ${OUT}.h "${h}")
file(WRITE ${OUT}.c "${c}")
