/* A cron line, a zone's file and a packed memory of any bytes: times go on, each found from
 * wherever is looked before it, and whatever was recalled, the table still answers. */
#include "protocol/config/parts.h"
#include "scheduler/schedule/schedule.h"
#include "scheduler/schedule/times.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_BYTES = 64, STEPS = 4 };

static void check_times(const struct cron *cron, const struct zone *zone)
{
    static const int64_t froms[] = {-4000000000, 0, 1774745000, 1793000000, 4200000000};
    for (size_t i = 0; i < ARRAY_LEN(froms); i++) {
        int64_t at = froms[i];
        for (int n = 0; n < STEPS; n++) {
            struct zone_span span = zone_span_at(zone, at);
            ensure(span.start_s <= at && at < span.end_s);
            int64_t next = times_cron_next(cron, zone, at);
            ensure(next > at);
            if (next == INT64_MAX)
                break;
            ensure(times_cron_next(cron, zone, next - 1) == next);
            ensure(times_cron_next(cron, zone, at + (next - at) / 2) == next);
            at = next;
        }
    }
}

static void check_memory(const struct cron *cron, struct slice packed)
{
    const struct source source = {.name = "w"};
    const struct model model = {.name = "m", .source = &source};
    const struct destination crm = {.name = "crm"};
    struct sync sync = {.name = "s", .model = &model, .destination = &crm};
    struct project project = {.dir = "/", .syncs = &sync, .sync_count = 1};
    struct schedule_table *table;
    struct schedule_start start;
    struct err err;
    sync.schedule = (struct schedule){.kind = SCHEDULE_CRON, .line = "", .cron = *cron};
    ensure(schedule_table_new(&project, 1767571200000, &table, &err) == ERR_OK);
    enum err_code rc = schedule_recall(table, "s", packed, 1767571200000, &err);
    ensure(rc == ERR_OK || rc == ERR_INVALID);
    if (schedule_due(table, 1767571200000, &start, 1) == 1)
        ensure(start.sync == &sync && start.scheduled_ms <= 1767571200000);
    schedule_table_free(table);
}

/* One byte with the length of the line, the line, and the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[LINE_BYTES + 1] = {0};
    size_t n = size ? data[0] % LINE_BYTES : 0;
    if (size < 1 + n)
        return 0;
    memcpy(line, data + 1, n);
    struct slice rest = slice_of(data + 1 + n, size - 1 - n);
    struct cron cron;
    struct zone *zone;
    struct err err;
    if (cron_read(line, &cron))
        ensure(cron_read("*/20 1-3 * * *", &cron) == NULL);
    if (zone_parse(rest, &zone, &err) == ERR_OK) {
        check_times(&cron, zone);
        zone_free(zone);
    } else {
        check_memory(&cron, rest);
    }
    return 0;
}
