/* `settings.warehouse_log`: where the history of runs is written for analysts. Read when the
 * sources are known. */
#include "protocol/config/form.h"
#include "protocol/config/parts.h"

enum { SCHEMA_MAX = 63 }; /* what Postgres keeps of a name */

struct log_form {
    const struct node *source;
    const char *schema;
};

#define MEMBER(m) .offset = offsetof(struct log_form, m)
static const struct field fields[] = {
    {"source", FIELD_NODE, MEMBER(source), .required = true},
    {"schema", FIELD_TEXT, MEMBER(schema)},
};
static const struct form form = {"`warehouse_log` map", fields, ARRAY_LEN(fields), false};

void warehouse_log_read(struct reader *rd)
{
    const struct node *node = rd->warehouse_log;
    struct log_form f = {.schema = "sluice"};
    if (!node || node->broken || rd->is_worker)
        return;
    struct entry of = {NULL, node->at, node};
    if (!form_read(rd, &form, &of, &f) || !f.source)
        return;
    const struct entry *source = reader_find(rd, SECTION_SOURCES, f.source);
    if (strlen(f.schema) > SCHEMA_MAX || has_control(f.schema) || strchr(f.schema, '$'))
        mistake(rd, node->at, "`schema` must be a name of at most %d bytes, without $", SCHEMA_MAX);
    const struct source *s =
        source ? &rd->project->sources[entry_index(rd, SECTION_SOURCES, source)] : NULL;
    if (s && source_is_redis(s))
        mistake(rd, f.source->at, "`source` must be a postgres source: redis has no tables");
    rd->project->settings.warehouse_log = s;
    rd->project->settings.warehouse_schema = f.schema;
}
