/*
 * What the two files of compiling share: compile_field.c makes one field of a mapping, compile.c
 * the program of all. Nobody else includes this.
 */
#ifndef SLUICE_MAP_COMPILE_PARTS_H
#define SLUICE_MAP_COMPILE_PARTS_H

#include "scheduler/map/columns.h"
#include "scheduler/map/program.h"

struct compiler {
    struct map_program *p;
    const struct sync *sync;
    struct columns columns;
    struct err *err;
};

enum err_code compiler_no_memory(struct compiler *c);
/** Turns the sentence in err into a mistake at a place of the configuration. */
enum err_code compiler_config_error(struct compiler *c, const struct config_place *place);
/** Zeroed memory that lives as long as the program. */
void *compiler_take(struct compiler *c, size_t n);

/** A field's path in the record. */
enum err_code compile_path(struct compiler *c, struct field *f, const char *const *names,
                           size_t count);
/** One mapping: where its value comes from, the steps it goes through, what becomes of null. */
enum err_code compile_mapping(struct compiler *c, struct field *f, const struct mapping *m);

#endif
