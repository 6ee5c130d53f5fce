/* `alerts`: their grammar is not carried out yet; what can be said of them is said. */
#include "protocol/config/parts.h"

static void read_section(struct reader *rd, enum section_id id)
{
    const struct section *s = &rd->sections[id];
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        if (e->node->broken)
            continue;
        if (e->node->kind != NODE_MAP)
            mistake(rd, e->node->at, "the %s %s must be a map of keys, but it is %s", s->noun,
                    shown_text(rd, e->name), node_kind_name(e->node));
        unsupported(rd, e->at, "`%s` are not supported by this version: remove %s", s->word,
                    shown_text(rd, e->name));
    }
}

void extras_read(struct reader *rd)
{
    read_section(rd, SECTION_ALERTS);
}
