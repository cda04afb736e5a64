# SPDX-License-Identifier: Apache-2.0
# What the compiler and the linker can do against an exploited fault. scripts/check-hardening looks
# at the result, so a flag that is lost on the way is seen.
include(CheckCCompilerFlag)
include(CheckPIESupported)

check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_compile_options(-fstack-protector-strong)
foreach(flag IN ITEMS -fstack-clash-protection -fcf-protection -mbranch-protection=standard)
  string(MAKE_C_IDENTIFIER "STW_HAS${flag}" has)
  check_c_compiler_flag("-Werror ${flag}" ${has})
  if(${has})
    add_compile_options(${flag})
  endif()
endforeach()

# Nobody puts functions of ours in the place of others, so what is in the same file may be inlined.
check_c_compiler_flag("-Werror -fno-semantic-interposition" STW_HAS_no_semantic_interposition)
if(STW_HAS_no_semantic_interposition)
  add_compile_options(-fno-semantic-interposition)
endif()

# The checks of the C library need an optimising compiler, and the sanitizers have better ones.
# Level 3 also knows sizes that are computed at run time; older compilers take it for level 2.
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()

# The tables of the dynamic linker are written once and then read-only; no stack is executable.
add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code)
