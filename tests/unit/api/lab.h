/*
 * An API of a double that runs in the test's own loop, and a client that says exactly what a test
 * wants. Every answer is held against the OpenAPI document.
 */
#ifndef SLUICE_TESTS_API_LAB_H
#define SLUICE_TESTS_API_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "double.h"
#include "schema.h"
#include "scheduler/api/api.h"

#include <event2/event.h>

struct lab {
    struct folder folder;
    struct control *control;
    struct event_base *base;
    struct api *api;
    json_t *document;
    char port[8];
    char socket_path[128];
};

struct answer {
    int status;
    char *head; /* status line and headers */
    char *body;
    size_t body_bytes;
    json_t *json; /* where it is JSON */
};

#define TOKENS                                                                                     \
    "tokens: ["                                                                                    \
    "{name: vic, role: viewer, sha256: " SHA256_OF_VIEWER "}, "                                    \
    "{name: olga, role: operator, sha256: " SHA256_OF_OPERATOR "}, "                               \
    "{name: ada, role: admin, sha256: " SHA256_OF_ADMIN "}]"
/* of the words viewer-token, operator-token, admin-token */
#define SHA256_OF_VIEWER "d036bd6d01a1cae081d39a2f8dab751dc042de814fd60df31fcb553170950f29"
#define SHA256_OF_OPERATOR "0850123315d21ab90f4f7236408a52ef6dbd6a02a6550e5c10dc73f4d993680e"
#define SHA256_OF_ADMIN "10a4c7c9fc5206d6f36dc6944a81bb6f4a3cb0e25014ae3b12e6c3e52712292a"
#define AS_VIEWER "Authorization: Bearer viewer-token\r\n"
#define AS_OPERATOR "Authorization: Bearer operator-token\r\n"
#define AS_ADMIN "Authorization: Bearer admin-token\r\n"
#define BROWSER "X-Sluice: 1\r\n"

/** settings: what stands in `settings: {…}`. */
void lab_open(struct lab *lab, const char *settings);
void lab_close(struct lab *lab);
/** Writes the project folder's file, for a reload. */
void lab_write(struct lab *lab, const char *settings, const char *more);

/** Over TCP, on a connection of its own. headers: lines with their ends; a Host among them replaces
 * the right one. body NULL: none. Until the next ask. */
const struct answer *ask(struct lab *lab, const char *method, const char *path, const char *headers,
                         const char *body);
/** Over the unix socket. */
const struct answer *ask_local(struct lab *lab, const char *method, const char *path,
                               const char *body);
/** GET, and the status is 200. */
const json_t *get(struct lab *lab, const char *path, const char *headers);
/** The value of a header of the answer, NULL where there is none; until the next call. */
const char *header_of(const struct answer *a, const char *name);
/** The text at a path such as "runs/0/id"; "" where there is none. Numbers, flags and null as
 * written. Until the fourth next call. */
const char *at(const json_t *json, const char *path);

/* ---- bytes ---- */

/** Connects over TCP; the caller closes. */
int lab_connect(struct lab *lab);
void lab_send(struct lab *lab, int fd, const char *bytes, size_t n);
/** One turn of the loop, which waits at most a few ms. */
void lab_turn(struct lab *lab);
/** Reads until what came contains words, or, with NULL, until the end; gives all that came. Fails
 * when the deadline passes. Owned by the caller. */
char *lab_read(struct lab *lab, int fd, const char *words);

#endif
