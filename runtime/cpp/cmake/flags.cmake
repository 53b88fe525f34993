# Flags of our own sources, kept off everything that is fetched or exported.
add_library(samplegraph_flags INTERFACE)
# -ffp-contract=off: the bits of the noise depend on which products and sums are fused; the source says which.
target_compile_options(samplegraph_flags INTERFACE -ffp-contract=off -Wall -Wextra -Wshadow -Wconversion -ffunction-sections
  -fdata-sections $<$<BOOL:${SAMPLEGRAPH_WERROR}>:-Werror>)

# Sanitizers are for all that is linked together, the test framework too.
if(SAMPLEGRAPH_SANITIZE)
  add_compile_options(-fsanitize=${SAMPLEGRAPH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  string(REPLACE -O2 -O1 CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
  add_link_options(-fsanitize=${SAMPLEGRAPH_SANITIZE})
endif()
