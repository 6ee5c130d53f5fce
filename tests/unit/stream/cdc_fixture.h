/*
 * One server for all tests of a file, a table public.t and a feed of it anew for each. Header only.
 */
#ifndef SLUICE_TESTS_CDC_FIXTURE_H
#define SLUICE_TESTS_CDC_FIXTURE_H

#include "tests/unit/stream/cdc_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct postgres_server server;
static struct cdc_world w;

static inline int start_server(void **state)
{
    (void)state;
    postgres_server_start(&server);
    return 0;
}

static inline int stop_server(void **state)
{
    (void)state;
    postgres_server_stop(&server);
    return 0;
}

static inline int begin(void **state)
{
    (void)state;
    world_init(&w, &server);
    world_sql(&w, "set client_min_messages = warning; drop table if exists public.t, orders, "
                  "customers cascade; drop publication if exists theirs");
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    world_done(&w);
    return 0;
}

/* Tables are made, the feed flows, and what follows comes as rows. */
static inline void go(const char *sql)
{
    world_sql(&w, sql);
    world_start(&w);
    world_settle(&w);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, end)

#endif
