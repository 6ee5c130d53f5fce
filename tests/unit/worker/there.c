#include "tests/unit/worker/there.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { BATCH_MAX = 64 << 20, TEXT_BYTES = 16384 };

enum err_code there_open(struct there *t, const char *destination, const char *more,
                         struct err *err)
{
    char text[TEXT_BYTES];
    *t = (struct there){.delivery = {.part = SLICE_LIT("batch-7-00ff"), .attempt = 3}};
    snprintf(text, sizeof text, "destinations: {hook: %s}\n%s", destination, more ? more : "");
    folder_init(&t->folder);
    folder_load_text(&t->folder, text);
    if (!t->folder.project) {
        folder_print(&t->folder);
        fail_msg("the project of the test is wrong");
    }
    const struct destination *d = project_destination(t->folder.project, "hook");
    buf_init(&t->payload, BATCH_MAX);
    t->reader = batch_reader_new();
    t->delivery.reader = t->reader;
    rendered_init(&t->rendered);
    t->driver = driver_find(d);
    assert_non_null(t->driver);
    return t->driver->open(d, &t->folder.project->settings, &t->state, err);
}

void there_close(struct there *t)
{
    t->driver->close(t->state);
    batch_reader_free(t->reader);
    rendered_done(&t->rendered);
    buf_done(&t->payload);
    folder_done(&t->folder);
}

enum err_code there_render(struct there *t, const struct sample_head *h,
                           const struct record *records, uint32_t count, struct err *err)
{
    buf_reset(&t->payload);
    sample_seal(&t->payload, h, records, count);
    assert_int_equal(batch_reader_open(t->reader, buf_slice(&t->payload), err), ERR_OK);
    return t->driver->render(t->state, &t->delivery, &t->rendered, err);
}

struct outcome there_judge(struct there *t, const struct http_answer *answer)
{
    struct outcome o;
    struct err err;
    if (t->driver->classify(t->state, &t->delivery, &t->rendered, answer, &o, &err))
        fail_msg("%s", err.text);
    return o;
}
