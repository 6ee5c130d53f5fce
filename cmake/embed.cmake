# Writes a file as a C byte array, so that the program needs none of its parts beside it at run time.
#   cmake -DIN=… -DOUT=… -DNAME=recipes_yaml -DHEADER=protocol/config/recipes_yaml.h -P embed.cmake
# The header declares `extern const unsigned char NAME[]` and `extern const size_t NAME_bytes`.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" array "${array}")
get_filename_component(file ${IN} NAME)
file(WRITE ${OUT} "/* Made from ${file} by embed.cmake. */\n#include \"${HEADER}\"\n\n"
  "const unsigned char ${NAME}[] = {\n${array}\n};\nconst size_t ${NAME}_bytes = sizeof ${NAME};\n")
