/* What streams are called at their source. */
#include "scheduler/stream/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define LONG_NAME "customers_who_looked_at_a_hotel_and_did_not_book_it_yet_"

static const char *name_of(const char *sync, const char *state)
{
    static struct slot_names names;
    slot_names_of(&(struct sync){.name = sync}, state, &names);
    assert_string_equal(names.slot, names.publication);
    assert_true(strlen(names.slot) < SLOT_NAME_BYTES);
    assert_int_equal(strspn(names.slot, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                     strlen(names.slot));
    return names.slot;
}

static void names_are_made_of_the_state_and_the_sync(void **state)
{
    (void)state;
    assert_string_equal(name_of("carts", "ABCDEF1234567890"), "sluice_abcdef12_carts");
    assert_string_equal(name_of("carts", "0123456789"), "sluice_01234567_carts");
}

static void syncs_that_look_alike_have_names_of_their_own(void **state)
{
    (void)state;
    static const char *const alike[] = {"a_b",       "a-b",         "A_b",         "a b",
                                        "a\xc3\xa4", LONG_NAME "1", LONG_NAME "2", LONG_NAME};
    char names[ARRAY_LEN(alike)][SLOT_NAME_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
        strcpy(names[i], name_of(alike[i], "abcdef12"));
        assert_string_equal(name_of(alike[i], "abcdef12"), names[i]); /* always the same */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[j], names[i]);
    }
    assert_string_equal(names[0], "sluice_abcdef12_a_b");
    assert_memory_equal(names[1], "sluice_abcdef12_a_b_", 20);
}

static void what_the_project_names_is_taken_as_it_is(void **state)
{
    (void)state;
    struct sync s = {.name = "carts",
                     .schedule = {.stream = {.slot = "theirs", .publication = "Their Pub"}}};
    struct slot_names names;
    slot_names_of(&s, "abcdef12", &names);
    assert_string_equal(names.slot, "theirs");
    assert_string_equal(names.publication, "Their Pub");
    s.schedule.stream.publication = NULL;
    slot_names_of(&s, "abcdef12", &names);
    assert_string_equal(names.publication, "sluice_abcdef12_carts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_of_the_state_and_the_sync),
        cmocka_unit_test(syncs_that_look_alike_have_names_of_their_own),
        cmocka_unit_test(what_the_project_names_is_taken_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
