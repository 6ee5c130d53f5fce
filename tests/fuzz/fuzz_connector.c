/* A connector from foreign bytes: reading must end, within its limits, with a connector or with
 * mistakes. */
#include "protocol/config/problem.h"
#include "protocol/config/yaml.h"
#include "protocol/connector/read.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

enum { ARENA_BYTES = 256 << 20 };

static void read_all(struct reader *rd, const struct node *root)
{
    const struct pair *map = node_get(root, "connectors");
    for (size_t i = 0; map && i < map->value->count && map->value->kind == NODE_MAP; i++) {
        const struct pair *one = &map->value->pairs[i];
        size_t before = rd->problems->mistakes;
        const struct connector *c = connector_read(rd, one->key, one->value, one->at);
        ensure(c || rd->failed || rd->problems->mistakes > before);
    }
    if (!map && !connector_read_inline(rd, "inline", root, root->at))
        ensure(rd->failed || rd->problems->mistakes > 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct project project = {.dir = "/nowhere"};
    struct problem_list problems;
    struct config_place second = {0};
    arena_init(&project.arena, ARENA_BYTES);
    problem_list_init(&problems);
    struct reader rd = {.project = &project, .problems = &problems};
    const struct node *root = yaml_read(&rd, "fuzz.yaml", slice_of(data, size), &second);
    if (root)
        read_all(&rd, root);
    problem_sort(&problems);
    problem_list_done(&problems);
    arena_done(&project.arena);
    return 0;
}
