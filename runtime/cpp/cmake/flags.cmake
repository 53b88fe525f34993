# Flags of our own sources, kept off everything that is fetched or exported.
add_library(samplegraph_flags INTERFACE)
target_compile_options(samplegraph_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -ffunction-sections
  -fdata-sections $<$<BOOL:${SAMPLEGRAPH_WERROR}>:-Werror>)
if(SAMPLEGRAPH_SANITIZE)
  target_compile_options(samplegraph_flags INTERFACE -fsanitize=${SAMPLEGRAPH_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -g -O1)
  target_link_options(samplegraph_flags INTERFACE -fsanitize=${SAMPLEGRAPH_SANITIZE})
endif()
