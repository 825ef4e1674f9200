# pg_flags: what every target of ours is compiled with.
include(CheckCCompilerFlag)
include(CheckIPOSupported)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)

add_library(pg_flags INTERFACE)
target_compile_definitions(pg_flags INTERFACE _GNU_SOURCE PHASEGATE_VERSION="${PROJECT_VERSION}")
target_compile_options(pg_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
  # Rows of tables leave their last columns out on purpose.
  -Wno-missing-field-initializers)
foreach(flag -Wlogical-op -Wduplicated-cond -Wunused-const-variable=1)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_c_compiler_flag(${flag} ${have})
  if(${have})
    target_compile_options(pg_flags INTERFACE ${flag})
  endif()
endforeach()

if(PHASEGATE_WERROR)
  target_compile_options(pg_flags INTERFACE -Werror)
endif()

if(PHASEGATE_SANITIZE)
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # -O1: at -O0 gcc doesn't see half of what it warns of. Ranges of values are lost in instrumented code,
  # so the warnings that live on them cry wolf; the release build has them.
  target_compile_options(pg_flags INTERFACE ${sanitize} -O1
    "$<$<C_COMPILER_ID:GNU>:-Wno-format-truncation;-Wno-stringop-truncation>")
  target_link_options(pg_flags INTERFACE ${sanitize})
endif()

# Fault points (src/io/fault.c): where tests run, and never in what is installed.
if(PHASEGATE_SANITIZE OR PHASEGATE_COVERAGE)
  set(faults ON)
else()
  set(faults OFF)
endif()
option(PHASEGATE_FAULTS "Fault points for tests/fault: kill or lose the session at the N-th call" ${faults})
if(PHASEGATE_FAULTS)
  set_property(SOURCE ${CMAKE_SOURCE_DIR}/src/io/fault.c APPEND PROPERTY COMPILE_DEFINITIONS PHASEGATE_FAULTS)
endif()

if(PHASEGATE_COVERAGE)
  target_compile_options(pg_flags INTERFACE --coverage -fprofile-abs-path -fprofile-update=atomic)
  target_link_options(pg_flags INTERFACE --coverage)
endif()

if(PHASEGATE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "PHASEGATE_FUZZ needs clang: configure with `cmake --preset fuzz`")
  endif()
  target_compile_options(pg_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(PHASEGATE_HARDEN)
  target_compile_options(pg_flags INTERFACE
    -U_FORTIFY_SOURCE -fstack-protector-strong -fstack-clash-protection -fno-plt)
  check_c_compiler_flag("-Werror -D_FORTIFY_SOURCE=3" HAVE_FORTIFY_3)
  target_compile_definitions(pg_flags INTERFACE _FORTIFY_SOURCE=$<IF:$<BOOL:${HAVE_FORTIFY_3}>,3,2>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(pg_flags INTERFACE -fcf-protection=full)
  endif()
  target_link_options(pg_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  check_ipo_supported(RESULT HAVE_LTO OUTPUT why LANGUAGES C)
  if(HAVE_LTO)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  else()
    message(STATUS "no link-time optimisation: ${why}")
  endif()
  include(CheckPIESupported)
  check_pie_supported(LANGUAGES C)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
