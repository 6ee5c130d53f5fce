#include "tests/unit/judge/vendor_cases.h"

static void check_case(const struct vendor *vendor, const struct vendor_case *c)
{
    CLEANUP(judging_done) struct judging g;
    judging_builtin(&g, vendor->connector, vendor->object, vendor->op, c->step);
    judging_keys(&g, vendor->keys, vendor->op);
    g.identify_by = vendor->identify_by;
    struct judged v = judging_headers(&g, c->status, c->headers, c->body);
    const char *entries = judging_entries(&g, &v);
    if (v.act != c->act || v.bug != c->bug || v.wait_ms != c->wait_ms ||
        strcmp(entries, c->entries ? c->entries : "") != 0)
        fail_msg("%s %u %s: act %d, bug %d, wait %lld, entries %s, words %.*s", vendor->connector,
                 c->status, c->body, v.act, v.bug, (long long)v.wait_ms, entries, (int)v.message.n,
                 v.message.n ? v.message.p : "");
    if (c->words)
        assert_words(v.message, c->words);
}

void check_vendor(const struct vendor *vendor)
{
    for (size_t i = 0; i < vendor->count; i++)
        check_case(vendor, &vendor->cases[i]);
}
